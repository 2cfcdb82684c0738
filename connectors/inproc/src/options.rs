//! Ingress and egress without a file: what a test builds them from.
//!
//! Must not know: YAML.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::egress::{Egress, EgressProfile};
use weft_api::ingress::{Ingress, Settle, Window};

use crate::egress::InprocEgress;
use crate::feed::Feed;
use crate::request::RequestIngress;
use crate::sink::Sink;
use crate::stream::StreamIngress;

/// How the lanes of an `inproc` ingress settle.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Settling {
    /// A contiguous prefix at a time, like a log's partition.
    #[default]
    InOrder,
    /// One by one, like a queue's link.
    Individual,
    /// One answer a message, like a request.
    Request,
}

/// What an ingress over a feed is like.
#[derive(Clone, Copy, Debug)]
pub struct IngressOptions {
    /// How many of the feed's lanes it opens.
    pub lanes: u32,
    /// How they settle.
    pub settle: Settling,
    /// How much each may have unsettled.
    pub window: Window,
    /// When a message that was released comes again (one by one, and requests).
    pub redeliver_after: Duration,
    /// How long a client waits for its answer (requests).
    pub deadline: Duration,
}

impl Default for IngressOptions {
    fn default() -> IngressOptions {
        IngressOptions {
            lanes: 1,
            settle: Settling::InOrder,
            window: Window {
                events: 1024,
                bytes: 16 << 20,
            },
            redeliver_after: Duration::from_millis(100),
            deadline: Duration::from_secs(30),
        }
    }
}

impl Feed {
    /// An ingress that takes from this feed; a second one takes over from the first.
    #[must_use]
    pub fn ingress(&self, options: IngressOptions) -> Box<dyn Ingress> {
        let IngressOptions {
            lanes,
            window,
            redeliver_after,
            deadline,
            ..
        } = options;
        let feed = self.clone();
        let settle = match options.settle {
            Settling::InOrder => Settle::InOrder,
            Settling::Individual => Settle::Individual,
            Settling::Request => {
                return Box::new(RequestIngress {
                    feed,
                    lanes,
                    window,
                    deadline,
                    redeliver_after,
                });
            }
        };
        Box::new(StreamIngress {
            feed,
            lanes,
            window,
            settle,
            redeliver_after,
        })
    }
}

impl Sink {
    /// An egress that delivers to this sink. `direct`: single events may be sent from their request's own task.
    #[must_use]
    pub fn egress(&self, profile: EgressProfile, direct: bool) -> Box<dyn Egress> {
        Box::new(InprocEgress {
            sink: self.clone(),
            profile,
            direct,
        })
    }
}
