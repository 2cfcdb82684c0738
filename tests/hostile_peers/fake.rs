//! A broker that is hostile to its first visitors and then behaves: the port, the account of visits, and the threads.
//! What it says is the protocol's ([`Manners`]).

use std::io::{self, ErrorKind, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// So many, or one where each takes its time.
const HOSTILE_VISITS: usize = 3;

/// A visitor that does not hang up within this time has not noticed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What must become of a connection on which the hostility was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// The router hangs up.
    HangsUp,
    /// The same, once it has waited for long enough.
    TimesOut,
    /// The fake goes away at once: it sent half of something.
    Leaves,
    /// The router may hang up or go on; the fake goes on.
    GoesOn,
    /// It was a message: the router rejects it and goes on.
    Rejects,
}

impl Then {
    /// How many visitors meet the hostility before the broker behaves.
    pub(crate) fn visits(self) -> usize {
        if self == Then::TimesOut { 1 } else { HOSTILE_VISITS }
    }

    /// The connection may live.
    pub(crate) fn may_live(self) -> bool {
        matches!(self, Then::GoesOn | Then::Rejects)
    }
}

/// One way to be hostile.
pub(crate) struct Case<Stage> {
    /// A name that can stand in a file.
    pub(crate) name: &'static str,
    pub(crate) stage: Stage,
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// What happened at one fake.
#[derive(Default)]
pub(crate) struct Account {
    /// Connections that were made.
    visits: AtomicUsize,
    /// How often the hostility was said.
    pub(crate) said: AtomicUsize,
    /// How often the router answered a message with `rejected`.
    pub(crate) rejected: AtomicUsize,
    /// Messages that came to the fake when it behaved, or that were accepted from it.
    pub(crate) taken: AtomicUsize,
    /// What should not have happened.
    pub(crate) faults: Mutex<Vec<String>>,
}

impl Account {
    pub(crate) fn fault(&self, what: impl Into<String>) {
        self.faults.lock().unwrap().push(what.into());
    }

    pub(crate) fn add(count: &AtomicUsize) {
        count.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn get(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }
}

/// A visitor as a protocol sees it.
pub(crate) struct Visit<Stage: 'static> {
    pub(crate) stream: TcpStream,
    pub(crate) case: &'static Case<Stage>,
    pub(crate) account: Arc<Account>,
    /// The hostility is still to be said to this one.
    pub(crate) hostile: bool,
}

impl<Stage: PartialEq + Copy> Visit<Stage> {
    /// Says the case's bytes where this is their moment. Gives whether the conversation is over.
    pub(crate) fn ends_here(&mut self, stage: Stage) -> bool {
        if !self.hostile || self.case.stage != stage {
            return false;
        }
        self.hostile = false;
        Account::add(&self.account.said);
        // The other side may have had enough before all is written.
        let _ = io::Write::write_all(&mut self.stream, &self.case.bytes);
        match self.case.then {
            Then::GoesOn | Then::Rejects => return false,
            Then::Leaves => {
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            Then::HangsUp | Then::TimesOut => {}
        }
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.account.fault("it did not hang up");
                    break;
                }
                Err(_) => break,
            }
        }
        true
    }
}

/// A fake on a port of its own.
pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) account: Arc<Account>,
}

/// How a protocol is spoken with one visitor, until its end.
pub(crate) type Manners<Stage> = fn(Visit<Stage>) -> io::Result<()>;

impl Fake {
    /// Listens until the test ends.
    pub(crate) fn start<Stage: Sync + Send + 'static>(
        case: &'static Case<Stage>,
        manners: Manners<Stage>,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let account = Arc::new(Account::default());
        let shared = Arc::clone(&account);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = shared.visits.fetch_add(1, Ordering::SeqCst);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let visit = Visit {
                    stream,
                    case,
                    account: Arc::clone(&shared),
                    hostile: number < case.then.visits(),
                };
                // One that breaks off is the router's to judge.
                thread::spawn(move || manners(visit));
            }
        });
        Fake { port, account }
    }
}
