//! The UDP echo: this program itself.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Running, Server, Site};
use crate::workload::Zone;

/// The floor.
pub(crate) struct Echo;

impl Server for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn prepare(&self, site: &Site) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.arg("echo").arg(site.address.to_string());
        Ok(command)
    }

    fn write_zone(&self, _: &Site, _: Zone) -> Result<()> {
        Ok(())
    }

    fn reload(&self, _: &Running) -> Result<()> {
        Ok(())
    }
}
