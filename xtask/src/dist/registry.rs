//! `server.json`, by which the registry of MCP servers lists the packages.

use miette::{IntoDiagnostic as _, Result};
use serde_json::json;

use super::output::Artefact;
use super::release::Release;

const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";

/// What the registry allows.
const DESCRIPTION_MAX: usize = 100;

impl Release {
    /// The name of the server: what the owner of a repository on GitHub may give, or of a domain.
    pub(super) fn mcp_name(&self) -> Option<String> {
        let address = self.repository.as_ref()?.split_once("://")?.1;
        let mut parts = address.split('/');
        let (host, owner) = (parts.next()?, parts.next()?);
        let domain: Vec<&str> = match host {
            "github.com" => vec!["io", "github", owner],
            host => host.rsplit('.').collect(),
        };
        Some(format!("{}/greenroom", domain.join(".")))
    }
}

pub(super) fn server_json(release: &Release, repository: &str) -> Result<Artefact> {
    let package = |registry: &str, runtime: &str| {
        json!({
            "registryType": registry,
            "identifier": "greenroom",
            "version": release.version,
            "runtimeHint": runtime,
            "transport": { "type": "stdio" },
            "packageArguments": [{ "type": "positional", "value": "mcp" }],
        })
    };
    let mut description = release.description.clone();
    description.truncate(description.floor_char_boundary(DESCRIPTION_MAX));
    let mut server = json!({
        "$schema": SCHEMA,
        "name": release.mcp_name(),
        "title": "Greenroom",
        "description": description,
        "version": release.version,
        "packages": [package("npm", "npx"), package("pypi", "uvx")],
    });
    if repository.contains("://github.com/") {
        server["repository"] = json!({ "url": repository, "source": "github" });
    }
    let text = serde_json::to_string_pretty(&server).into_diagnostic()?;
    Ok(Artefact { name: "server.json".to_owned(), bytes: (text + "\n").into_bytes() })
}
