//! `staging-sync lab`: a fleet on loopback, for trying things out with any AWS client.

use std::path::PathBuf;

use clap::Args;
use staging_sync::aws::live::{Endpoint, Live, Patience};
use staging_sync::text;
use staging_sync_lab::{Error, Fleet, Lab};

use crate::{Exit, Unable};

/// The fleet of `staging-sync demo`, and of `staging-sync lab` where no other is named.
const DEMO_FLEET: &str = include_str!("../../../lab/fleets/demo.json");

#[derive(Args)]
pub struct Arguments {
    /// The fleet: a JSON file. Without one, that of the demo.
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 4566)]
    port: u16,
}

pub async fn run(arguments: Arguments) -> Result<Exit, Unable> {
    let fleet = fleet(arguments.fleet.as_deref())?;
    let bucket = fleet.hub.bucket.clone();
    let lab = Lab::start_on(fleet, arguments.port).await.map_err(|error| match error {
        Error::Bind { .. } => Unable(format!("lab: {error}: choose another port with --port")),
        error => Unable(format!("lab: {error}")),
    })?;
    println!(
        "# DynamoDB, S3, STS and DRS at {}; policies go to s3://{bucket}; use it from another shell with:",
        lab.url()
    );
    for (name, value) in lab.env() {
        println!("export {name}={value}");
    }
    eprintln!("serving until interrupted (Ctrl-C)");
    tokio::signal::ctrl_c().await.map_err(|error| Unable(format!("lab: {error}")))?;
    lab.shutdown().await;
    Ok(Exit::Well)
}

/// Reads a fleet's file.
pub fn fleet(path: Option<&std::path::Path>) -> Result<Fleet, Unable> {
    let (name, text) = match path {
        None => ("the demo's fleet".into(), DEMO_FLEET.to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = text::read(path).map_err(|error| Unable(format!("fleet {name}: {error}")))?;
            (name, text)
        }
    };
    Fleet::from_json(&text).map_err(|error| Unable(format!("{name}: {error}")))
}

/// The way to a running lab, whatever the process's own environment says.
pub fn live(lab: &Lab, max_concurrency: usize, patience: Patience) -> Live {
    Live::at(endpoint(lab), max_concurrency, patience)
}

/// Where a running lab is, and the hub's credentials.
pub fn endpoint(lab: &Lab) -> Endpoint {
    let env = lab.env();
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let credentials = aws_credential_types::Credentials::new(
        get("AWS_ACCESS_KEY_ID"),
        get("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "lab",
    );
    Endpoint { url: lab.url(), region: get("AWS_REGION"), credentials }
}
