//! The Homebrew formula and the Scoop manifest: addresses and sums put into `packaging/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result};

use super::output::Artefact;
use super::release::Release;
use super::target::{Arch, System, Target};

/// The name and sum of each target's archive.
type Archives = BTreeMap<Target, (String, String)>;

pub(super) fn homebrew(
    root: &Path,
    release: &Release,
    repository: &str,
    archives: &Archives,
) -> Result<Artefact> {
    let mut platforms = String::new();
    for (target, (name, sum)) in archives {
        let system = match target.system {
            System::MacOs(..) => "on_macos",
            System::Glibc(_) => "on_linux",
            // Homebrew brings a glibc of its own.
            System::Static | System::Windows => continue,
        };
        let cpu = match target.architecture {
            Arch::X86_64 => "on_intel",
            Arch::Aarch64 => "on_arm",
        };
        let url = Release::download(repository, &release.version, name);
        let _ = write!(
            platforms,
            "\n  {system} do\n    {cpu} do\n      url \"{url}\"\n      sha256 \"{sum}\"\n    end\n  end\n"
        );
    }
    let template =
        fs::read_to_string(root.join("packaging/homebrew/greenroom.rb")).into_diagnostic()?;
    let text = filled(&template, release, repository).replace("@platforms@\n", &platforms);
    Ok(Artefact { name: "greenroom.rb".to_owned(), bytes: text.into_bytes() })
}

/// Nothing where no archive is for Windows.
pub(super) fn scoop(
    root: &Path,
    release: &Release,
    repository: &str,
    archives: &Archives,
) -> Result<Option<Artefact>> {
    let is_windows =
        |target: &Target| target.system == System::Windows && target.architecture == Arch::X86_64;
    let Some((target, (name, sum))) = archives.iter().find(|(target, _)| is_windows(target)) else {
        return Ok(None);
    };
    let template =
        fs::read_to_string(root.join("packaging/scoop/greenroom.json")).into_diagnostic()?;
    let text = filled(&template, release, repository)
        .replace("@url@", &Release::download(repository, &release.version, name))
        .replace("@sum@", sum)
        .replace("@target@", &target.triple());
    Ok(Some(Artefact { name: "greenroom.json".to_owned(), bytes: text.into_bytes() }))
}

fn filled(template: &str, release: &Release, repository: &str) -> String {
    template
        .replace("@version@", &release.version)
        .replace("@description@", &release.description)
        .replace("@repository@", repository)
}
