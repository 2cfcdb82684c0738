//! Links: their identity, what is asked for, and where their handshake stands.
//!
//! A link's handle is its place in the table; the place is used again only once both sides have detached. An id carries a
//! serial beside it, so that an old id finds nothing.

use super::receiver::Receiver;
use super::sender::Sender;
use crate::performative::{Role, SenderSettleMode, Source, Target};
use crate::value::{Symbol, Text};

/// Most links of one connection.
pub(super) const LINKS_MAX: usize = 4096;

/// A link of one connection; never used again for another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkId {
    pub(super) handle: u32,
    pub(super) serial: u32,
}

/// A link that messages are to come by.
#[derive(Clone, Debug)]
pub struct ReceiverSpec {
    /// Its name, of which a connection has one at a time.
    pub name: Text,
    /// Where messages come from.
    pub source: Source,
    /// What is asked of the sender.
    pub snd_settle_mode: SenderSettleMode,
    /// Capabilities that we would like.
    pub desired_capabilities: Vec<Symbol>,
}

/// A link that messages are to go by.
#[derive(Clone, Debug)]
pub struct SenderSpec {
    /// Its name, of which a connection has one at a time.
    pub name: Text,
    /// Where messages go to.
    pub target: Target,
    /// Whether we send settled.
    pub snd_settle_mode: SenderSettleMode,
    /// Capabilities that we would like.
    pub desired_capabilities: Vec<Symbol>,
}

/// Where a link stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stand {
    /// We asked; the peer has not answered.
    Asked,
    /// The peer answered without a terminus: its detach says why.
    Refused,
    /// Both sides have attached.
    Up,
    /// We have detached, the peer has not.
    Leaving,
}

pub(super) struct Link {
    pub(super) serial: u32,
    pub(super) name: Text,
    pub(super) stand: Stand,
    /// The peer's handle, once it has attached.
    remote: Option<u32>,
    /// The peer asked for its state.
    pub(super) owes_flow: bool,
    pub(super) side: Side,
}

pub(super) enum Side {
    Receiver(Receiver),
    Sender(Sender),
}

impl Side {
    pub(super) fn role(&self) -> Role {
        match self {
            Side::Receiver(_) => Role::Receiver,
            Side::Sender(_) => Role::Sender,
        }
    }
}

/// All links; the place of one is its handle.
#[derive(Default)]
pub(super) struct Table {
    links: Vec<Option<Link>>,
    free: Vec<u32>,
    serials: u32,
    /// Links by the peer's handle, which is below `LINKS_MAX` as we asked in our begin.
    remotes: Vec<Option<LinkId>>,
}

impl Table {
    /// A place for a link; `None`: there are too many.
    pub(super) fn add(&mut self, name: Text, side: Side) -> Option<LinkId> {
        self.serials = self.serials.wrapping_add(1);
        let serial = self.serials;
        let link = Some(Link {
            serial,
            name,
            stand: Stand::Asked,
            remote: None,
            owes_flow: false,
            side,
        });
        let handle = match self.free.pop() {
            Some(handle) => {
                *self.links.get_mut(handle as usize)? = link;
                handle
            }
            None if self.links.len() < LINKS_MAX => {
                self.links.push(link);
                u32::try_from(self.links.len() - 1).ok()?
            }
            None => return None,
        };
        Some(LinkId { handle, serial })
    }

    pub(super) fn get(&mut self, id: LinkId) -> Option<&mut Link> {
        let link = self.links.get_mut(id.handle as usize)?.as_mut()?;
        (link.serial == id.serial).then_some(link)
    }

    /// The peer's attach of this name and role has come, with its own handle: the link that waits for it. Where a name was
    /// given up and asked for again, the older one: answers come in order.
    pub(super) fn answered(&mut self, name: &Text, role: Role, remote: u32) -> Option<(LinkId, &mut Link)> {
        let newest = self.serials;
        let (handle, link) = (0u32..)
            .zip(&mut self.links)
            .filter_map(|(handle, link)| Some((handle, link.as_mut()?)))
            .filter(|(_, link)| {
                link.remote.is_none()
                    && link.name.as_str() == name.as_str()
                    && link.side.role() == role.opposite()
            })
            .max_by_key(|(_, link)| newest.wrapping_sub(link.serial))?;
        let id = LinkId {
            handle,
            serial: link.serial,
        };
        let place = remote as usize;
        if self.remotes.len() <= place {
            self.remotes.resize(place + 1, None);
        }
        *self.remotes.get_mut(place)? = Some(id);
        link.remote = Some(remote);
        Some((id, link))
    }

    /// The link that the peer calls so.
    pub(super) fn by_remote(&self, remote: u32) -> Option<LinkId> {
        self.remotes.get(remote as usize).copied().flatten()
    }

    /// Both sides have detached.
    pub(super) fn remove(&mut self, handle: u32) -> Option<Link> {
        let link = self.links.get_mut(handle as usize)?.take()?;
        if let Some(place) = link
            .remote
            .and_then(|remote| self.remotes.get_mut(remote as usize))
        {
            *place = None;
        }
        self.free.push(handle);
        Some(link)
    }
}
