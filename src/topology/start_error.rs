//! Whose turn it is where a topology did not start; the exit code says it (`docs/cli.md`).

/// Why a topology did not start: one line for an operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// The same file fails again.
    #[error("{0}")]
    Wrong(String),
    /// Somebody else has what it needs; later it may succeed.
    #[error("{0}")]
    Taken(String),
    /// A fault of ours, or of the machine.
    #[error("{0}")]
    Failed(String),
}
