//! Compiles `proto/` to Rust without `protoc`, into `OUT_DIR` only.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/categorymirror");

    let mut files: Vec<PathBuf> = fs::read_dir("proto/categorymirror/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .build_transport(false)
        // It holds secrets: `proto/lib.rs` has a `Debug` for it that does not show them.
        .skip_debug([".categorymirror.v1.SetCredentialsRequest"])
        // A run is large, a heartbeat is not.
        .boxed(".categorymirror.v1.StreamRunUpdatesResponse.update.run")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
