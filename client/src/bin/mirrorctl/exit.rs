//! How the program ends.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use category_mirror_client::{Code, Error, Printable};

/// Any end but a good one. The codes are in `--help`.
pub(crate) enum Exit {
    /// A watched run ended otherwise than well; what it was is printed already.
    RunNotSucceeded,
    /// Some items of an import were left out; which, and why, is printed already.
    ItemsRefused,
    /// The run has made no plan, or none yet.
    NoPlan,
    /// The command line is wrong; in what is printed already.
    CommandLine,
    Usage(String),
    /// The server did what it was asked, and what was asked about is not good.
    Refused(String),
    Call(Error),
    Output(io::Error),
}

impl Exit {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::RunNotSucceeded => ExitCode::from(1),
            Self::ItemsRefused => ExitCode::from(3),
            Self::NoPlan => failed(&"the run has no plan; `mirrorctl run get` says why", 6),
            Self::CommandLine => ExitCode::from(2),
            Self::Usage(message) => failed(&Printable(&message), 2),
            Self::Refused(message) => failed(&Printable(&message), 3),
            Self::Call(error) => failed(&error, code(error.code())),
            // `mirrorctl run list | head`: the reader has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => failed(&format!("cannot write the output: {error}"), 6),
        }
    }
}

fn failed(message: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // Where this cannot be written either, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "mirrorctl: {message}");
    ExitCode::from(code)
}

fn code(code: Code) -> u8 {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => 3,
        Code::Unauthenticated | Code::PermissionDenied => 4,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted => 5,
        _ => 6,
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
