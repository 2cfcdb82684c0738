//! Text of AMQP: `string` (UTF-8) and `symbol` (ASCII), both shared slices of the frame they came in, or constants.
//!
//! The bytes are checked when the text is made. Reading it as `&str` looks at them again, since there is no unsafe
//! code here: cheap for names, and the hot path reads `&str` from the frame directly.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(Bytes);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // Checked when it was made: never the empty default.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// Bytes that were checked where they were read.
            pub(super) fn shared(checked: Bytes) -> Self {
                Self(checked)
            }

            /// The bytes, shared.
            #[must_use]
            pub fn into_bytes(self) -> Bytes {
                self.0
            }

            /// A copy that does not keep the frame alive that it came in.
            #[must_use]
            pub fn detached(&self) -> Self {
                Self(Bytes::copy_from_slice(&self.0))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_str(), f)
            }
        }
    };
}

text! {
    /// A `string`: any Unicode text.
    Text
}

text! {
    /// A `symbol`: ASCII text out of some domain (conditions, capabilities, annotation keys).
    Symbol
}

impl Text {
    /// A constant, without an allocation.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// `None` where the bytes are no UTF-8.
    #[must_use]
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }
}

impl Symbol {
    /// A constant, without an allocation. A symbol that is not ASCII does not compile in a constant.
    ///
    /// # Panics
    /// If the text is not ASCII: an error in the program, never in its input.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii(), "a symbol is ASCII");
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// A copy; `None` where the text is not ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        text.is_ascii()
            .then(|| Self(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// `None` where the bytes are not ASCII.
    #[must_use]
    pub fn from_ascii(bytes: Bytes) -> Option<Self> {
        bytes.is_ascii().then_some(Self(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Symbol> for Text {
    fn from(symbol: Symbol) -> Self {
        Self(symbol.0)
    }
}
