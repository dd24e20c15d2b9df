//! The wire protocol of Category Mirror, package `categorymirror.v1`.
//!
//! Everything here, but one `Debug`, is generated from the `.proto` files beside this one. Programs use the crate
//! `category-mirror-client`, which hides these types; this crate is for those who need the wire itself.

/// Messages, clients (feature `client`) and service traits (feature `server`).
pub mod v1 {
    tonic::include_proto!("categorymirror.v1");

    /// Shows whose credentials they are, and no more of them.
    impl std::fmt::Debug for SetCredentialsRequest {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("SetCredentialsRequest").field("account", &self.account).finish_non_exhaustive()
        }
    }
}

/// The encoded `FileDescriptorSet`, with comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
