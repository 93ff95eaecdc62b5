//! The failure of a command: a message, what to do next, and an exit code.

use std::fmt;
use std::io;

use orchestrator_adapter::ActorError;
use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{
    ApplyId, Digest, ErrorKind, Patch, PatchId, SessionId, Signature, StagingError,
    escape_for_display, with_causes,
};

use crate::args::{Command, Session};

/// A command failed; as JSON, what programs read of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    path: Option<String>,
    /// The patches it is about; left out when it is about none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<PatchId>,
    #[serde(flatten)]
    about: Box<About>,
    /// What to do next, when the kind alone does not say it.
    #[serde(skip)]
    advice: Option<String>,
    /// The reader of standard output has closed it, which is not an error.
    #[serde(skip)]
    pub(crate) is_closed_pipe: bool,
    /// The command's JSON object has the failure already.
    #[serde(skip)]
    pub(crate) is_in_the_object: bool,
    /// Patches of the set are stale or expired, and `--rest` applies the others.
    #[serde(skip)]
    pub(crate) lacks_parts: bool,
    /// The command had changed files before it failed.
    #[serde(skip)]
    has_changed_files: bool,
    /// The unknown patch or session.
    #[serde(skip)]
    pub(crate) unknown: Option<Box<Unknown>>,
    /// The exit code, unless the kind says it.
    #[serde(skip)]
    exit_code: Option<u8>,
}

/// What else an error is about; each is left out when it is about none.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct About {
    /// The session, or one that the patches belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    /// The apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<ApplyId>,
    /// The signature of what is pending, where another one was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
    /// The digest of the file that the session sees, where the change was made from another content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    blake3: Option<Digest>,
    /// How often the text to replace occurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrences: Option<u64>,
    /// The limit that is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

impl From<&StagingError> for About {
    fn from(error: &StagingError) -> Self {
        use StagingError as E;
        let apply = |apply: &ApplyId| Self { apply: Some(*apply), ..Self::default() };
        match error {
            E::SessionNotOpen { session, .. } => {
                Self { session: Some(*session), ..Self::default() }
            }
            E::NotUndoable { apply: of, .. } | E::UndoConflict { apply: of, .. } => apply(of),
            E::NotRedoable { apply: of, .. } | E::AlreadyAsked { apply: of, .. } => apply(of),
            E::RolledBack { apply: of, .. } | E::InDoubt { apply: of, .. } => apply(of),
            E::HeldInDoubt { apply: of } | E::NotRecorded { apply: of, .. } => apply(of),
            E::SignatureMismatch { found, .. } => {
                Self { signature: Some(*found), ..Self::default() }
            }
            E::NotTheBase { found, .. } => Self { blake3: *found, ..Self::default() },
            E::NoMatch { found, .. } => Self { occurrences: Some(*found), ..Self::default() },
            E::Limit { max, .. } => Self { limit: Some(*max), ..Self::default() },
            E::PatchTooLarge { max, .. } => {
                Self { limit: Some(u64::from(*max)), ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}

/// An unknown patch or session that a command named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Patch(PatchId),
    /// An id or a label.
    Session(String),
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            // People read it, in the JSON object as well.
            message: escape_for_display(&message.into()).into_owned(),
            path: None,
            patches: Vec::new(),
            about: Box::default(),
            advice: None,
            is_closed_pipe: false,
            is_in_the_object: false,
            lacks_parts: false,
            has_changed_files: false,
            unknown: None,
            exit_code: None,
        }
    }

    /// Ends the process with this code.
    pub(crate) fn exits_with(self, code: u8) -> Self {
        Self { exit_code: Some(code), ..self }
    }

    /// Ends the process as env(1) does when it fails before its command began.
    pub(crate) fn before_it_began(self) -> Self {
        let code = self.exit_code.unwrap_or(125);
        self.exits_with(code)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// A system call failed.
    pub(crate) fn io(what: impl fmt::Display, source: &io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{what}: {source}"))
    }

    /// Standard output could not be written to.
    pub(crate) fn output(source: &io::Error) -> Self {
        let is_closed_pipe = source.kind() == io::ErrorKind::BrokenPipe;
        Self { is_closed_pipe, ..Self::io("cannot write the output", source) }
    }

    /// The path that it is about, as programs read it.
    pub(crate) fn about(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// The patches that it is about, as programs read them.
    pub(crate) fn of_patches(self, patches: impl IntoIterator<Item = PatchId>) -> Self {
        Self { patches: patches.into_iter().collect(), ..self }
    }

    /// The session that it is about, as programs read it.
    pub(crate) fn of_session(self, session: SessionId) -> Self {
        Self { about: Box::new(About { session: Some(session), ..*self.about }), ..self }
    }

    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The command had changed files before it failed.
    pub(crate) fn after_changes(self) -> Self {
        Self { has_changed_files: true, ..self }
    }

    /// The same after what is advised already.
    pub(crate) fn advise_also(self, advice: &str) -> Self {
        let before = self.advice.as_deref().map(|before| format!("{before} ")).unwrap_or_default();
        self.advise(before + advice)
    }

    /// The command's JSON object has the failure already.
    pub(crate) fn in_the_object(self) -> Self {
        Self { is_in_the_object: true, ..self }
    }

    /// 2 usage; 3 stale or in conflict; 4 refused; 5 in doubt; else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        if let Some(code) = self.exit_code {
            return code;
        }
        match self.kind {
            ErrorKind::Usage => 2,
            ErrorKind::Stale | ErrorKind::Conflict | ErrorKind::NoMatch => 3,
            ErrorKind::Refused | ErrorKind::SignatureMismatch | ErrorKind::ConfirmationMissing => 4,
            ErrorKind::InDoubt => 5,
            _ => 1,
        }
    }

    /// The message, and what to do next where that is known without the command.
    pub(crate) fn with_advice(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}. {advice}", self.message),
            None => self.message.clone(),
        }
    }

    /// What a person reads.
    pub(crate) fn to_text(&self, command: Option<&Command>) -> String {
        let mut text = format!("greenroom: {}\n", self.message);
        let mut sentences = Vec::new();
        if self.kind != ErrorKind::InDoubt && !self.has_changed_files {
            sentences.extend(command.and_then(unchanged_by).map(str::to_owned));
        }
        sentences.extend(command.and_then(|command| self.remedy(command)));
        sentences.extend(self.advice.clone().or_else(|| self.general_advice().map(str::to_owned)));
        if !sentences.is_empty() {
            text.push_str(&sentences.join(" "));
            text.push('\n');
        }
        text
    }

    /// What a program passes on in a message of its own: what happened, and what to do next.
    #[cfg(target_os = "linux")]
    pub(crate) fn sentences(&self) -> String {
        let advice = self.advice.clone().or_else(|| self.general_advice().map(str::to_owned));
        let message = self.message.trim_end_matches('.');
        advice.map_or_else(|| message.to_owned(), |advice| format!("{message}. {advice}"))
    }

    /// The next step for stale and expired patches, for reviewers and for agents.
    fn remedy(&self, command: &Command) -> Option<String> {
        if self.kind != ErrorKind::Stale {
            return None;
        }
        if matches!(command, Command::Propose(_)) {
            return Some("Read the file again and propose the change again.".to_owned());
        }
        if self.patches.is_empty()
            || !matches!(
                command,
                Command::Apply(_) | Command::Review(_) | Command::Diff(_) | Command::Edit(_)
            )
        {
            return None;
        }
        let ids = names_of(&self.patches);
        let rest = match command {
            Command::Apply(_) if self.lacks_parts => ", or apply the others with `--rest`",
            _ => "",
        };
        Some(format!(
            "Propose them again with `greenroom refresh {ids}`, dismiss them with `greenroom \
             discard {ids}`{rest}."
        ))
    }

    fn general_advice(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::SignatureMismatch => {
                Some("Run `greenroom diff` again and approve the signature that it prints.")
            }
            ErrorKind::ConfirmationMissing => {
                Some("Check the files, then add --confirm-full-replace.")
            }
            ErrorKind::InDoubt => Some("Run `greenroom recover`."),
            ErrorKind::Busy => Some("Try again in a moment."),
            _ => None,
        }
    }
}

/// Patches as a command names them.
fn names_of(patches: &[PatchId]) -> String {
    const NAMED_MAX: usize = 20;
    let named: Vec<String> = patches.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = if patches.len() > NAMED_MAX { " …" } else { "" };
    named.join(" ") + more
}

/// What a failed command did not change.
fn unchanged_by(command: &Command) -> Option<&'static str> {
    match command {
        Command::Propose(_) | Command::Refresh { .. } | Command::Edit(_) => {
            Some("Nothing was staged and no file was changed.")
        }
        Command::Apply(_) | Command::Review(_) | Command::Undo(_) | Command::Redo { .. } => {
            Some("No file was changed.")
        }
        Command::Discard { .. } => Some("Nothing was discarded."),
        Command::Session(Session::Close { .. }) => Some("The session was not closed."),
        _ => None,
    }
}

impl From<StagingError> for Failure {
    fn from(error: StagingError) -> Self {
        if let StagingError::Output { source } = &error {
            return Self::output(source);
        }
        let unknown = match &error {
            StagingError::PatchNotFound { patch } => Some(Unknown::Patch(*patch)),
            StagingError::SessionNotFound { name } => Some(Unknown::Session(name.clone())),
            _ => None,
        };
        let failure = Self {
            unknown: unknown.map(Box::new),
            patches: error.patches(),
            about: Box::new(About::from(&error)),
            lacks_parts: matches!(error, StagingError::LostParts { .. }),
            ..Self::new(error.kind(), with_causes(&error))
        };
        let failure = match read_again(&error) {
            Some(advice) => failure.advise(advice),
            None => failure,
        };
        match error.path() {
            Some(path) => failure.about(path.to_escaped()),
            None => failure,
        }
    }
}

/// How a reviewer goes on with patches that are at another revision than was read.
fn read_again(error: &StagingError) -> Option<String> {
    match error {
        StagingError::Rewritten { patches } => {
            let ids: Vec<PatchId> = patches.iter().map(|patch| patch.id).collect();
            let names: Vec<String> = patches.iter().map(Patch::name).collect();
            let (ids, names) = (names_of(&ids), names.join(" "));
            Some(format!("Read it with `greenroom diff {ids}`, then name the revision: `{names}`."))
        }
        StagingError::OtherRevision { patch, .. } => {
            Some(format!("Read it again with `greenroom diff {patch}`."))
        }
        StagingError::EarlierRevision { patch, of } => Some(format!(
            "`greenroom show {patch}` shows it; `greenroom show {of}` shows what it became."
        )),
        _ => None,
    }
}

impl From<ActorError> for Failure {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Staging(error) => error.into(),
            error => Self::new(error.kind(), error.to_string()),
        }
    }
}
