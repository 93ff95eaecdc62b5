//! What is packed beside the command: manual pages, completions, licences and documents.
//!
//! The pages and completions come from the command itself, so one of the binaries has to run here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use super::entries::Entry;

/// The licences of the libraries, as `third_party` writes them.
pub(super) const THIRD_PARTY: &str = "THIRD-PARTY-LICENSES";

#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    pub(super) readme: String,
    pub(super) changelog: String,
    /// Names and texts of Greenroom's own licences.
    pub(super) licences: Vec<(String, String)>,
    pub(super) third_party: String,
    /// Names and texts of the manual pages, sorted.
    pub(super) pages: Vec<(String, Vec<u8>)>,
    pub(super) completions: Vec<(Shell, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

impl Shell {
    const ALL: [Self; 4] = [Self::Bash, Self::Zsh, Self::Fish, Self::Powershell];

    /// Its name on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
        }
    }

    /// Where the shell finds the completions by itself, below `/usr/local`, `~/.local` and the like.
    fn path(self) -> Option<&'static str> {
        match self {
            Self::Bash => Some("share/bash-completion/completions/greenroom"),
            Self::Zsh => Some("share/zsh/site-functions/_greenroom"),
            Self::Fish => Some("share/fish/vendor_completions.d/greenroom.fish"),
            Self::Powershell => None,
        }
    }
}

impl Documents {
    pub(super) fn load(root: &Path, programs: &[&Path]) -> Result<Self> {
        let text = |name: &str| {
            fs::read_to_string(root.join(name))
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot read {name}"))
        };
        let mut documents = Self {
            readme: text("README.md")?,
            changelog: text("CHANGELOG.md")?,
            ..Self::default()
        };
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            documents.licences.push((name.to_owned(), text(name)?));
        }
        let runs = |program: &&&Path| {
            quiet(program).arg("--version").status().is_ok_and(|status| status.success())
        };
        let program = programs.iter().find(runs).ok_or_else(|| {
            miette!("none of the binaries runs here: manual pages and completions come from one that does")
        })?;
        documents.describe(program)?;
        Ok(documents)
    }

    fn describe(&mut self, program: &Path) -> Result<()> {
        for shell in Shell::ALL {
            let mut completions = quiet(program);
            completions.args(["completions", shell.name()]).stdout(Stdio::piped());
            let output = completions.output().into_diagnostic()?;
            if !output.status.success() || output.stdout.is_empty() {
                return Err(miette!("`greenroom completions {}` prints nothing", shell.name()));
            }
            self.completions.push((shell, output.stdout));
        }
        let folder = tempfile::tempdir().into_diagnostic()?;
        let status = quiet(program).arg("man").arg(folder.path()).status().into_diagnostic()?;
        for entry in fs::read_dir(folder.path()).into_diagnostic()? {
            let entry = entry.into_diagnostic()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            self.pages.push((name, fs::read(entry.path()).into_diagnostic()?));
        }
        self.pages.sort();
        if !status.success() || !self.pages.iter().any(|(name, _)| name == "greenroom.1") {
            return Err(miette!("`greenroom man` writes no manual page"));
        }
        Ok(())
    }

    /// Pages and completions where the programs that read them look, below a prefix.
    pub(super) fn shared(&self) -> Vec<Entry> {
        let pages = self.pages.iter();
        let pages =
            pages.map(|(name, page)| Entry::file(format!("share/man/man1/{name}"), page.clone()));
        let completions = self.completions.iter();
        let completions =
            completions.filter_map(|(shell, text)| Some(Entry::file(shell.path()?, text.clone())));
        pages.chain(completions).collect()
    }

    /// The licences: Greenroom's own, and those of the libraries in it.
    pub(super) fn legal(&self, folder: &str) -> Vec<Entry> {
        let licences = self.licences.iter();
        let licences =
            licences.map(|(name, text)| Entry::file(format!("{folder}{name}"), text.as_str()));
        let third_party = Entry::file(format!("{folder}{THIRD_PARTY}"), self.third_party.as_str());
        licences.chain([third_party]).collect()
    }
}

/// The command without the user's environment.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
