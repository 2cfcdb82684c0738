//! Links: their identity, what is asked for, and where their handshake stands.
//!
//! A link's handle is its place in the table; the place is used again only once both sides have detached. An id carries a
//! serial beside it, so that an old id finds nothing.

use std::collections::HashMap;

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
    pub(super) remote: Option<u32>,
    pub(super) side: Side,
}

impl Link {
    /// Its id, where it has this handle.
    pub(super) fn id(&self, handle: u32) -> LinkId {
        LinkId {
            handle,
            serial: self.serial,
        }
    }
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
    /// Our handles by the peer's.
    remotes: HashMap<u32, u32>,
    /// The last pair that was looked up, since transfers come in runs: the peer's handle and ours.
    recent: Option<(u32, u32)>,
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

    pub(super) fn look(&self, id: LinkId) -> Option<&Link> {
        let link = self.links.get(id.handle as usize)?.as_ref()?;
        (link.serial == id.serial).then_some(link)
    }

    /// By our handle.
    pub(super) fn at(&mut self, handle: u32) -> Option<&mut Link> {
        self.links.get_mut(handle as usize)?.as_mut()
    }

    /// Our handle of the link that waits for the peer's attach of this name and role. Where a name was given up and asked
    /// for again, the peer answers in order.
    pub(super) fn asked(&self, name: &Text, role: Role) -> Option<u32> {
        let waits = |link: &Link| {
            link.remote.is_none()
                && link.name.as_str() == name.as_str()
                && link.side.role() == role.opposite()
        };
        self.iter()
            .filter(|(_, link)| waits(link))
            .map(|(id, _)| id)
            .min_by_key(|id| id.serial)
            .map(|id| id.handle)
    }

    /// The peer has attached the link at `handle` with a handle of its own.
    pub(super) fn bind(&mut self, handle: u32, remote: u32) {
        if let Some(link) = self.at(handle) {
            link.remote = Some(remote);
            self.remotes.insert(remote, handle);
        }
    }

    /// Our handle of the peer's.
    pub(super) fn by_remote(&mut self, remote: u32) -> Option<u32> {
        match self.recent {
            Some((theirs, ours)) if theirs == remote => Some(ours),
            _ => {
                let ours = *self.remotes.get(&remote)?;
                self.recent = Some((remote, ours));
                Some(ours)
            }
        }
    }

    /// Both sides have detached.
    pub(super) fn remove(&mut self, handle: u32) -> Option<Link> {
        let link = self.links.get_mut(handle as usize)?.take()?;
        self.free.push(handle);
        self.recent = None;
        if let Some(remote) = link.remote {
            self.remotes.remove(&remote);
        }
        Some(link)
    }

    fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        (0u32..).zip(&self.links).filter_map(|(handle, link)| {
            let link = link.as_ref()?;
            Some((link.id(handle), link))
        })
    }
}
