//! What the packages say about the release: version, description, address, time.

use std::env;
use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use regex::{Captures, Regex};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use crate::cargo::output_of;

#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) version: String,
    pub(super) description: String,
    /// An SPDX expression.
    pub(super) licence: String,
    /// The address of the repository, without a slash at its end.
    pub(super) repository: Option<String>,
    /// Seconds; the time of everything that has one.
    pub(super) epoch: u64,
}

impl Release {
    pub(super) fn load(root: &Path, repository: Option<&str>) -> Result<Self> {
        let package = package(root)?;
        let field = |name: &str| package[name].as_str().map(str::to_owned);
        let needed = |name: &str| field(name).ok_or_else(|| miette!("the command has no `{name}`"));
        let repository = repository.map(str::to_owned).or_else(|| field("repository"));
        Ok(Self {
            version: needed("version")?,
            description: needed("description")?,
            licence: needed("license")?,
            repository: repository.map(|url| url.trim_end_matches(['/']).to_owned()),
            epoch: epoch(root)?,
        })
    }

    /// The time as RFC 3339 has it.
    pub(super) fn time(&self) -> Result<String> {
        self.date_time()?.format(&Rfc3339).into_diagnostic()
    }

    /// The time as in the head of a mail.
    pub(super) fn mail_time(&self) -> Result<String> {
        self.date_time()?.format(&Rfc2822).into_diagnostic()
    }

    fn date_time(&self) -> Result<OffsetDateTime> {
        let seconds = i64::try_from(self.epoch).into_diagnostic()?;
        OffsetDateTime::from_unix_timestamp(seconds).into_diagnostic()
    }

    /// Where a release has its files.
    pub(super) fn download(repository: &str, version: &str, name: &str) -> String {
        format!("{repository}/releases/download/v{version}/{name}")
    }

    /// `markdown` as it can be read outside of the repository: relative links lead to the release's
    /// files, or are text where the address of the repository is not known. `folder` is where the
    /// document lies.
    pub(super) fn with_absolute_links(&self, markdown: &str, folder: &str) -> String {
        let link = Regex::new(r"\[([^\]]*)\]\(([^)\s]+)\)").expect("it is an expression");
        let replace = |found: &Captures<'_>| {
            let (text, address) = (&found[1], &found[2]);
            if address.contains("://") {
                return found[0].to_owned();
            }
            match &self.repository {
                None => text.to_owned(),
                Some(repository) => {
                    let path = resolve(folder, address);
                    format!("[{text}]({repository}/blob/v{}/{path})", self.version)
                }
            }
        };
        link.replace_all(markdown, replace).into_owned()
    }
}

/// A relative address from a folder, by its path from the root.
fn resolve(folder: &str, address: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in address.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The name of the package that has the command, whatever it is called.
pub(super) fn package_name(root: &Path) -> Result<String> {
    let package = package(root)?;
    package["name"].as_str().map(str::to_owned).ok_or_else(|| miette!("a package without a name"))
}

fn package(root: &Path) -> Result<serde_json::Value> {
    let metadata = output_of(root, &["metadata", "--format-version=1", "--locked", "--no-deps"])?;
    let mut metadata: serde_json::Value = serde_json::from_slice(&metadata)
        .into_diagnostic()
        .wrap_err("cannot read cargo metadata")?;
    let packages = metadata["packages"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let has_command = |package: &serde_json::Value| {
        let targets = package["targets"].as_array();
        targets.is_some_and(|all| {
            all.iter().any(|one| one["name"] == "greenroom" && one["kind"][0] == "bin")
        })
    };
    packages
        .into_iter()
        .find(has_command)
        .ok_or_else(|| miette!("no package has a `greenroom` binary"))
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
fn epoch(root: &Path) -> Result<u64> {
    if let Some(named) = env::var_os("SOURCE_DATE_EPOCH") {
        let named = named.to_string_lossy();
        return named
            .parse()
            .into_diagnostic()
            .wrap_err("SOURCE_DATE_EPOCH is no number of seconds");
    }
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "log", "-1", "--format=%ct"]).current_dir(root);
    let output = git.output().into_diagnostic().wrap_err("cannot start git")?;
    let time = String::from_utf8_lossy(&output.stdout).trim().parse();
    time.into_diagnostic().wrap_err("git knows no last commit: set SOURCE_DATE_EPOCH")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(repository: Option<&str>) -> Release {
        Release {
            version: "1.2.3".to_owned(),
            description: String::new(),
            licence: String::new(),
            repository: repository.map(str::to_owned),
            epoch: 1_700_000_000,
        }
    }

    #[test]
    fn links_of_a_document_lead_out_of_the_package() {
        let text = "See [a](../docs/a.md#x), [b](b.md) and [c](https://c.example/).";
        let with = release(Some("https://e.example/x")).with_absolute_links(text, "python");
        let expected = "See [a](https://e.example/x/blob/v1.2.3/docs/a.md#x), \
                        [b](https://e.example/x/blob/v1.2.3/python/b.md) and [c](https://c.example/).";
        assert_eq!(with, expected);
        let without = release(None).with_absolute_links(text, "python");
        assert_eq!(without, "See a, b and [c](https://c.example/).");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(release(None).time().ok().as_deref(), Some("2023-11-14T22:13:20Z"));
        let mail = release(None).mail_time().ok();
        assert_eq!(mail.as_deref(), Some("Tue, 14 Nov 2023 22:13:20 +0000"));
    }
}
