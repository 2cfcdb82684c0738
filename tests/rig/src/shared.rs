//! The one broker of a kind that all tests share: where its ports are told to them, and who starts it where they are not.

use std::sync::OnceLock;

use crate::Private;

/// A kind of broker that can be shared. The runner around all test binaries starts one and names its ports in a
/// variable; without the runner it lives as long as the test binary that asks for it first.
pub trait Shared: Clone + Send + Sync + Sized + 'static {
    /// The variable that holds the ports, separated by commas, in an order of the kind's own.
    const VARIABLE: &'static str;

    /// Chooses ports and writes the configuration; nobody listens yet.
    #[must_use]
    fn reserve() -> Private<Self>;

    /// The value of the variable.
    fn ports(&self) -> Vec<u16>;

    /// The broker that serves at these ports; nothing where their number is wrong.
    #[must_use]
    fn at(ports: &[u16]) -> Option<Self>;

    /// A broker of one's own, started.
    #[must_use]
    fn private() -> Private<Self> {
        let mut broker = Self::reserve();
        broker.start();
        broker
    }

    /// What the variable holds for this broker.
    fn value(&self) -> String {
        let ports: Vec<String> = self.ports().iter().map(u16::to_string).collect();
        ports.join(",")
    }
}

/// The broker behind the kind's variable, else one that lives as long as this process. `slot` is the kind's own.
pub(crate) fn shared<B: Shared>(slot: &'static OnceLock<(B, Option<Private<B>>)>) -> &'static B {
    let (broker, _) = slot.get_or_init(|| match std::env::var(B::VARIABLE) {
        Ok(text) if !text.is_empty() => {
            let ports: Option<Vec<u16>> = text.split(',').map(|port| port.parse().ok()).collect();
            let broker = ports.and_then(|ports| B::at(&ports));
            (
                broker.unwrap_or_else(|| panic!("{}={text}: not the ports of such a broker", B::VARIABLE)),
                None,
            )
        }
        _ => {
            let broker = B::private();
            (broker.clone(), Some(broker))
        }
    });
    broker
}
