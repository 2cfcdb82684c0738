//! How much of a destination's window is given out: a batch waits until it fits, as it does in the router's queue.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::locked;

/// The window; clones are the same one.
#[derive(Clone)]
pub(super) struct Gate(Arc<Mutex<State>>);

struct State {
    window: usize,
    out: usize,
    waker: Option<Waker>,
}

impl Gate {
    pub(super) fn new(window: usize) -> Gate {
        let state = State {
            window,
            out: 0,
            waker: None,
        };
        Gate(Arc::new(Mutex::new(state)))
    }

    /// Takes room for so many; waits for it. What is larger than the window goes alone.
    pub(super) fn poll_take(&self, count: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = locked(&self.0);
        if state.out > 0 && state.out + count > state.window {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.out += count;
        Poll::Ready(())
    }

    /// Gives room back.
    pub(super) fn give_back(&self, count: usize) {
        let waker = {
            let mut state = locked(&self.0);
            state.out -= count;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
