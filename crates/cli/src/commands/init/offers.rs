//! Settings of which an agent has only one, so that Greenroom's is added only where the user has none.

use std::env;
use std::path::{Path, PathBuf};

use super::agents::{self, Offer, Scope, Settings, Want};
use super::jsonc;
use super::program::is_same;
use crate::args::Agent;
use crate::files::read_settings;
use crate::paths::shown;
use crate::user_dirs::home;

/// What is wanted of a file in addition, and notes on what the user has instead.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) wants: Vec<Want>,
    pub(super) notes: Vec<String>,
}

/// What is offered to a file of settings of an agent, whose other files may have it already.
pub(super) fn to(
    agent: Agent,
    scope: Scope,
    settings: &Settings,
    (root, folder): (&Path, &Path),
) -> Offered {
    let mut offered = Offered::default();
    let offers = settings.file.offers.iter().filter(|offer| offer.scopes.contains(&scope));
    for offer in offers {
        match found(agent, scope, settings, (root, folder), offer) {
            None => offered.wants.push(offer.want()),
            Some(Found::Ours) => {}
            Some(Found::TheUsers(file)) => {
                offered.notes.push(format!("`{}` {}", shown(&file), offer.kept));
            }
        }
    }
    offered
}

/// What there is already.
enum Found {
    Ours,
    /// Another one, in this file.
    TheUsers(PathBuf),
}

fn found(
    agent: Agent,
    scope: Scope,
    settings: &Settings,
    (root, folder): (&Path, &Path),
    offer: &Offer,
) -> Option<Found> {
    let mut files: Vec<PathBuf> = Vec::new();
    if scope == Scope::User {
        files.extend(settings.names.iter().map(|name| root.join(folder).join(name)));
    } else {
        let all = |scope| settings.file.names_in(scope).iter();
        files.extend(all(Scope::Local).chain(all(Scope::Shared)).map(|name| root.join(name)));
        let own = user_folder(agent);
        files.extend(own.iter().flat_map(|own| all(Scope::User).map(|name| own.join(name))));
    }
    let value = |file: &PathBuf| jsonc::value(&read_settings(file).ok()?, &offer.at);
    let with = files.into_iter().find_map(|file| value(&file).map(|value| (file, value)));
    with.map(|(file, value)| match is_same(&value, &offer.value) {
        true => Found::Ours,
        false => Found::TheUsers(file),
    })
}

/// Where the agent keeps the settings of its user.
pub(crate) fn user_folder(agent: Agent) -> Option<PathBuf> {
    let settings = agents::of(agent);
    let named = settings.variable.as_ref().and_then(env::var_os).map(PathBuf::from);
    let named = named.filter(|dir| dir.is_absolute());
    named.or_else(|| Some(home()?.join(&settings.folder)))
}
