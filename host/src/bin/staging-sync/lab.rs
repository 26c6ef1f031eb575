//! `staging-sync lab`: a fleet on loopback, for trying things out with any AWS client.

use std::fs::File;
use std::io::Write;
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
    /// Speak TLS, by an authority made for this lab; its certificate is in the file that AWS_CA_BUNDLE is set to.
    #[arg(long)]
    tls: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, Unable> {
    let fleet = fleet(arguments.fleet.as_deref())?;
    let bucket = fleet.hub.bucket.clone();
    let lab = match arguments.tls {
        true => Lab::start_with_tls(fleet, arguments.port).await,
        false => Lab::start_on(fleet, arguments.port).await,
    };
    let lab = lab.map_err(|error| match error {
        Error::Bind { .. } => Unable(format!("lab: {error}: choose another port with --port")),
        error => Unable(format!("lab: {error}")),
    })?;
    let bundle = lab.authority().map(Bundle::write).transpose()?;
    println!(
        "# DynamoDB, S3, STS and DRS at {}; policies go to s3://{bucket}; use it from another shell with:",
        lab.url()
    );
    if let Some(Bundle(path)) = &bundle {
        println!("export AWS_CA_BUNDLE={}", path.display());
    }
    for (name, value) in lab.env() {
        println!("export {name}={value}");
    }
    eprintln!("serving until interrupted (Ctrl-C)");
    tokio::signal::ctrl_c().await.map_err(|error| Unable(format!("lab: {error}")))?;
    lab.shutdown().await;
    Ok(Exit::Well)
}

/// The file with the certificate of a lab's authority, for as long as the lab runs.
struct Bundle(PathBuf);

impl Bundle {
    fn write(authority: &str) -> Result<Self, Unable> {
        let path = std::env::temp_dir().join(format!("staging-sync-lab-{}.pem", std::process::id()));
        // A file of somebody else's by this name isn't written to.
        let file = File::create_new(&path).and_then(|mut file| file.write_all(authority.as_bytes()));
        file.map_err(|error| Unable(format!("lab: {}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it's of no use to anybody, and no secret
    }
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
