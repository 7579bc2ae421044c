//! I/O shell: `concierge import`: reads what another server is configured with, and writes a policy and master files.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads and writes files")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Common, Failed, Output, print, print_json};
use crate::control::reason::many;
use crate::dns::Name;
use crate::import::{self, Input};

/// Make a policy of what another server is configured with
///
/// What cannot be carried over, or means something else here, is said on standard error, and as a comment where it
/// applies. Nothing is overwritten, and nothing is loaded: look at it, run `concierge check --zones FOLDER`.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// gdnsd: its configuration and zone files
    Gdnsd(Gdnsd),
    /// Route 53: what `aws route53 list-resource-record-sets` and `list-health-checks` print, as JSON
    Route53(Route53),
    /// Azure Traffic Manager: what `az network traffic-manager profile show` or `list` prints, as JSON
    TrafficManager(TrafficManager),
}

#[derive(Debug, Args)]
#[command(after_help = "\
         concierge import gdnsd /etc/gdnsd --into zones
         concierge import gdnsd config zones/example.com      the policy to standard output")]
struct Gdnsd {
    /// The folder of the configuration, or single files: `config`, and zones, whose file is called as the zone is
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
#[command(after_help = "\
         aws route53 list-resource-record-sets --hosted-zone-id ID > records.json
         aws route53 list-health-checks > checks.json
         concierge import route53 records.json checks.json --into zones

         `list-cidr-blocks` as well, where record sets are chosen by the address of who asks.")]
struct Route53 {
    /// Documents in JSON, each whole
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
#[command(after_help = "\
         az network traffic-manager profile list > profiles.json
         concierge import traffic-manager profiles.json --zone example.net. --into zones

         A profile NAME.trafficmanager.net becomes the hub NAME of the zone. Give a profile together with those that are \
         nested in it.")]
struct TrafficManager {
    /// Documents in JSON
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The zone that the hubs are in
    #[arg(long, value_name = "ZONE", value_parser = super::moves::name)]
    zone: Name,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
struct To {
    /// Write the policy and a master file for each zone into this folder; without it, the policy goes to standard output
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(&self, common: &Common) -> Result<(), Failed> {
        let (imported, to) = match &self.from {
            From::Gdnsd(gdnsd) => (import::gdnsd(&gdnsd_inputs(&gdnsd.files)?, &mut included), &gdnsd.to),
            From::Route53(route53) => (import::route53(&read_all(&route53.files)?), &route53.to),
            From::TrafficManager(azure) => {
                (import::traffic_manager(&read_all(&azure.files)?, &azure.zone.to_string()), &azure.to)
            }
        };
        let imported = match imported {
            Ok(imported) => imported,
            Err(refusal) => {
                print::complain(format_args!("error: {refusal}\n"));
                return Err(Failed::Rejected(vec![refusal.to_string()]));
            }
        };
        let written = to.into.as_deref().map(|folder| write(folder, &imported)).transpose()?;
        match common.output {
            Output::Json => return print_json(&imported),
            Output::Text => {}
        }
        for note in &imported.notes {
            print::complain(format_args!("note: {note}\n"));
        }
        match written {
            Some(paths) => {
                for path in paths {
                    print::line(format_args!("wrote {}", path.display()))?;
                }
            }
            None => {
                print::text(&imported.policy.text)?;
                if !imported.zones.is_empty() {
                    let zones = many(imported.zones.len(), "zone");
                    print::complain(format_args!("hint: the records of {zones} are written with --into FOLDER\n"));
                }
            }
        }
        Ok(())
    }
}

/// The files, and of a folder the configuration and the zones in it.
fn gdnsd_inputs(paths: &[PathBuf]) -> Result<Vec<Input>, Failed> {
    let mut inputs = Vec::new();
    for path in paths {
        if !path.is_dir() {
            inputs.push(read(path)?);
            continue;
        }
        let configuration = path.join("config");
        let zones = path.join("zones");
        if configuration.is_file() {
            inputs.push(read(&configuration)?);
        }
        if zones.is_dir() {
            for zone in files_in(&zones)? {
                inputs.push(read(&zone)?);
            }
        }
        if inputs.is_empty() {
            let sentence = format!("{} has neither `config` nor `zones`, expected gdnsd's folder", path.display());
            return Err(Failed::Sentence(sentence));
        }
    }
    Ok(inputs)
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failed> {
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Input, Failed> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Input { name: path.display().to_string(), text }),
        Err(error) => Err(Failed::Sentence(format!("cannot read {}: {error}", path.display()))),
    }
}

/// The files of a folder in order of their names, without hidden ones.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let cannot = |error| Failed::Sentence(format!("cannot read {}: {error}", folder.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files that an include of `parent` means: one, those of a folder, or those that a `*` in the last part stands for.
fn included(parent: &str, path: &str) -> Result<Vec<Input>, String> {
    let path = Path::new(parent).parent().unwrap_or(Path::new("")).join(path);
    let plain = |failed| match failed {
        Failed::Sentence(sentence) => sentence,
        _ => format!("cannot read {}", path.display()),
    };
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let paths = match last.split_once('*') {
        _ if path.is_dir() => files_in(&path).map_err(plain)?,
        Some((start, end)) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let fits = |path: &PathBuf| {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            };
            let paths: Vec<PathBuf> = files_in(folder).map_err(plain)?.into_iter().filter(fits).collect();
            if paths.is_empty() {
                return Err(format!("no file is called {}", path.display()));
            }
            paths
        }
        None => vec![path.clone()],
    };
    paths.iter().map(|path| read(path).map_err(plain)).collect()
}

/// Writes the files, all of them or, where one is there already, none.
fn write(folder: &Path, imported: &import::Import) -> Result<Vec<PathBuf>, Failed> {
    let outputs: Vec<_> = std::iter::once(&imported.policy).chain(&imported.zones).collect();
    let path = |output: &import::Output| folder.join(&output.name);
    if let Some(output) = outputs.iter().find(|output| path(output).exists()) {
        return Err(Failed::Sentence(format!(
            "{} is there already\nhint: name a folder of its own, compare, and move what is good",
            path(output).display()
        )));
    }
    let cannot = |path: &Path, error| Failed::Sentence(format!("cannot write {}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    for output in &outputs {
        fs::write(path(output), &output.text).map_err(|error| cannot(&path(output), error))?;
    }
    Ok(outputs.into_iter().map(path).collect())
}
