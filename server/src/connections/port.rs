//! The ports of the server.

/// A port of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// gRPC.
    Grpc,
    /// Health and metrics.
    Admin,
}

impl Port {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Admin];

    /// Returns its name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Admin => "admin",
        }
    }
}
