//! How the program ends.

use std::{io, process::ExitCode};

use category_mirror_client::{Code, Error, Printable};

use crate::{show::stderr::say, words::Words};

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
    /// The question whether to delete something was not answered with yes.
    Declined,
    Call(Error),
    Output(io::Error),
}

impl Exit {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn report(self, words: &Words) -> ExitCode {
        let (message, code) = match self {
            Self::RunNotSucceeded => return ExitCode::from(1),
            Self::ItemsRefused => return ExitCode::from(3),
            Self::CommandLine => return ExitCode::from(2),
            // `mirrorctl run list | head`: the reader has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::NoPlan => ("the run has no plan; `mirrorctl run get` says why".to_owned(), 6),
            Self::Usage(message) => (Printable(&message).to_string(), 2),
            Self::Refused(message) => (Printable(&message).to_string(), 3),
            Self::Declined => ("nothing was deleted".to_owned(), 6),
            Self::Call(error) => (words.explain(&error), code(error.code())),
            Self::Output(error) => (format!("cannot write the output: {error}"), 6),
        };
        say(message);
        ExitCode::from(code)
    }
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
