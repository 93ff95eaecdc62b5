//! Risks that a path's names show.
//!
//! A file is *automation* when a tool reads or runs it although nobody has named it: on a commit, on
//! entering or opening the directory, when an agent starts, or with the installation of packages.
//! What a build or a test runs is the project's code, all of which is to be read; it is not listed.
//! Names are compared as the file systems do that tell the fewest of them apart.

use atomic_fs::{RelPath, folded_name, folded_stem};

use crate::risk::kind::{Risk, RiskKind};

/// Directories in which every file is automation.
const AUTOMATION_DIRS: &[&str] = &[
    // Git hooks.
    ".githooks",
    ".git-hooks",
    ".husky",
    ".lefthook",
    // Editors and their containers.
    ".vscode",
    ".idea",
    ".zed",
    ".fleet",
    ".vim",
    ".nvim",
    ".devcontainer",
    // Agents.
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".opencode",
    ".continue",
    ".windsurf",
    ".clinerules",
    ".roo",
    ".amazonq",
    ".kiro",
    ".qwen",
    ".augment",
    ".goose",
    // Tools that take commands from their settings.
    ".cargo",
    ".mise",
    ".yarn",
];

/// Files that are automation, wherever they lie.
const AUTOMATION_FILES: &[&str] = &[
    // Git hooks, and programs that git starts for files or submodules.
    ".pre-commit-config.yaml",
    ".pre-commit-config.yml",
    "lefthook.yml",
    "lefthook.yaml",
    "lefthook.toml",
    "lefthook.json",
    "lefthook-local.yml",
    "lefthook-local.yaml",
    "lefthook-local.toml",
    "lefthook-local.json",
    ".lefthook.yml",
    ".lefthook.yaml",
    ".overcommit.yml",
    ".lintstagedrc",
    ".gitattributes",
    ".gitmodules",
    ".gitconfig",
    // Git takes a directory with such a file for a bare repository, whose settings run programs.
    "head",
    // Shells.
    ".envrc",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".tool-versions",
    "mise.toml",
    "mise.local.toml",
    ".mise.toml",
    // Editors.
    ".exrc",
    ".vimrc",
    ".nvimrc",
    ".nvim.lua",
    ".dir-locals.el",
    ".dir-locals-2.el",
    ".devcontainer.json",
    ".gitpod.yml",
    // Agents.
    ".mcp.json",
    "claude.md",
    "claude.local.md",
    "agents.md",
    "agents.override.md",
    "agent.md",
    "gemini.md",
    "qwen.md",
    "warp.md",
    "crush.md",
    "crush.local.md",
    "replit.md",
    "opencode.json",
    "opencode.jsonc",
    ".cursorrules",
    ".windsurfrules",
    ".aider.conf.yml",
    "copilot-instructions.md",
    // Package managers, which run what these name.
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    "pnpm-workspace.yaml",
    "bunfig.toml",
    // npm builds what it describes, with the commands in it.
    "binding.gyp",
];

/// How the names of some files begin that are automation: settings of what runs on a commit.
const AUTOMATION_BEGINNINGS: &[&str] = &["lint-staged.config.", "commitlint.config."];

/// Endings of names that are automation.
const AUTOMATION_ENDINGS: &[&str] = &[".code-workspace", ".sublime-project"];

/// Directories, perhaps with one more below them, in which every file is for CI.
const CI_DIRS: &[&str] = &[
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".semaphore",
    ".tekton",
    ".teamcity",
    ".builds",
    ".azure-pipelines",
    ".github/workflows",
    ".github/actions",
    ".gitea/workflows",
    ".forgejo/workflows",
    ".gitlab/ci",
];

/// Files for CI.
const CI_FILES: &[&str] = &[
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    ".travis.yml",
    ".drone.yml",
    ".woodpecker.yml",
    ".cirrus.yml",
    ".appveyor.yml",
    "appveyor.yml",
    ".build.yml",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "bitbucket-pipelines.yml",
    "buildspec.yml",
    "buildspec.yaml",
    "cloudbuild.yaml",
    "cloudbuild.yml",
    "codemagic.yaml",
    ".screwdriver.yaml",
    "wercker.yml",
];

/// How the names of some CI files begin.
const CI_BEGINNINGS: &[&str] = &["jenkinsfile"];

/// Files that decide which versions of dependencies are used.
const LOCK_FILES: &[&str] = &[
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "poetry.lock",
    "pipfile.lock",
    "uv.lock",
    "pdm.lock",
    "pylock.toml",
    "pixi.lock",
    "conda-lock.yml",
    "gemfile.lock",
    "gems.locked",
    "composer.lock",
    "go.sum",
    "go.work.sum",
    "flake.lock",
    "mix.lock",
    "rebar.lock",
    "pubspec.lock",
    "podfile.lock",
    "cartfile.resolved",
    "package.resolved",
    "gradle.lockfile",
    "buildscript-gradle.lockfile",
    "packages.lock.json",
    "paket.lock",
    "stack.yaml.lock",
    "cabal.project.freeze",
    ".terraform.lock.hcl",
    "chart.lock",
    "module.bazel.lock",
    "shard.lock",
    "buf.lock",
    "cpanfile.snapshot",
    "renv.lock",
    "conan.lock",
    "lake-manifest.json",
];

/// What the names in paths show.
#[derive(Clone, Copy, Default)]
struct Shown {
    automation: bool,
    ci: bool,
    lock_file: bool,
    hidden: bool,
}

/// The risks that the names in a patch's paths show.
pub(crate) fn of<'p>(paths: impl Iterator<Item = &'p RelPath>) -> impl Iterator<Item = Risk> {
    let mut shown = Shown::default();
    paths.for_each(|path| shown.add(path));
    let kinds = [
        (shown.automation, RiskKind::Automation),
        (shown.ci, RiskKind::Ci),
        (shown.lock_file, RiskKind::LockFile),
        (shown.hidden, RiskKind::Hidden),
    ];
    kinds.into_iter().filter(|(is_so, _)| *is_so).map(|(_, kind)| Risk::new(kind))
}

impl Shown {
    fn add(&mut self, path: &RelPath) {
        let stems: Vec<Vec<u8>> = path.components().map(folded_stem).collect();
        self.hidden |= path.components().any(|name| folded_name(name).starts_with(b"."));
        let is_in = |listed: &[&str], name: &[u8]| listed.iter().any(|one| one.as_bytes() == name);
        for (at, name) in stems.iter().enumerate().filter(|(_, name)| name.starts_with(b".")) {
            self.automation |= is_in(AUTOMATION_DIRS, name);
            let with_next = |next: &Vec<u8>| [name.as_slice(), next].join(&b'/');
            self.ci |= is_in(CI_DIRS, name)
                || stems.get(at + 1).is_some_and(|next| is_in(CI_DIRS, &with_next(next)));
        }
        let Some(name) = stems.last() else { return };
        let begins = |text: &&str| name.starts_with(text.as_bytes());
        let ends = |text: &&str| name.ends_with(text.as_bytes());
        self.lock_file |= is_in(LOCK_FILES, name);
        self.ci |= is_in(CI_FILES, name) || CI_BEGINNINGS.iter().any(begins);
        self.automation |= is_in(AUTOMATION_FILES, name)
            || AUTOMATION_BEGINNINGS.iter().any(begins)
            || AUTOMATION_ENDINGS.iter().any(ends);
    }
}
