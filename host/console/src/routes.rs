//! What is where: pages for people, and the same below `/api/v1/` for programs.

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;

use crate::console::Console;
use crate::guard::Visit;
use crate::pages;
use crate::query::Query;
use crate::reply::Reply;
use crate::simulation::{Asked, NotSimulated};

/// The description of `/api/v1/` in the format of OpenAPI.
const OPENAPI: &str = include_str!("../openapi.json");

/// The stylesheet of all pages.
const STYLE: &str = include_str!("style.css");

/// The icon of all pages: it's there so that browsers don't ask for another.
const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><path fill=\"#0072b2\" \
                    d=\"M2 3h12v4H2zM2 9h8v4H2z\"/></svg>";

/// Where programs are answered.
const API: &str = "/api/v1/";

/// What goes wrong.
struct Problem {
    status: StatusCode,
    message: String,
}

/// The answer to a request for a path.
pub async fn answer(console: &Console, path: &str, query: Option<&str>, visit: Visit) -> Reply {
    let query = Query::parse(query);
    match path.strip_prefix(API) {
        Some("openapi.json") => Reply::new(StatusCode::OK, "application/json", OPENAPI),
        Some(rest) => match json(console, rest, &query, visit).await {
            Ok(reply) => reply,
            Err(problem) => Reply::json(problem.status, &json!({"error": problem.message})),
        },
        None if path == "/icon.svg" => Reply::new(StatusCode::OK, "image/svg+xml", ICON),
        None if path == "/style.css" => Reply::new(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        None => match html(console, path, &query, visit).await {
            Ok(page) => Reply::html(StatusCode::OK, page),
            Err(Problem { status, message }) => Reply::html(status, pages::problem(console, status, &message)),
        },
    }
}

/// The parts of a path, decoded. The error: one isn't text.
fn parts(path: &str) -> Result<Vec<String>, Problem> {
    let decoded = path.split('/').map(|part| percent_decode_str(part).decode_utf8().map(|part| part.into_owned()));
    decoded
        .collect::<Result<_, _>>()
        .map_err(|_| Problem { status: StatusCode::BAD_REQUEST, message: "The address isn't text in UTF-8.".into() })
}

fn missing(what: impl Into<String>) -> Problem {
    Problem { status: StatusCode::NOT_FOUND, message: what.into() }
}

fn no_account(id: &str) -> Problem {
    missing(format!("No tick has seen the account {id}."))
}

fn no_tick(id: &str) -> Problem {
    missing(format!("The tick {id} isn't known: it left no record, or the record is gone."))
}

fn unreadable(error: String) -> Problem {
    Problem { status: StatusCode::BAD_GATEWAY, message: format!("The journal can't be read: {error}") }
}

fn not_simulated(problem: NotSimulated) -> Problem {
    match problem {
        NotSimulated::Busy => Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "Another simulation is under way. Try again in some seconds.".into(),
        },
        NotSimulated::Failed(message) => Problem { status: StatusCode::UNPROCESSABLE_ENTITY, message },
    }
}

async fn json(console: &Console, rest: &str, query: &Query, visit: Visit) -> Result<Reply, Problem> {
    fn ok(value: &impl Serialize) -> Result<Reply, Problem> {
        Ok(Reply::json(StatusCode::OK, value))
    }
    let parts = parts(rest)?;
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["fleet"] => ok(&console.fleet(query.get("operation")).await),
        ["accounts", id] => ok(&console.account(id, query).await.ok_or_else(|| no_account(id))?),
        ["ticks"] => ok(&console.ticks(query).await),
        ["ticks", id] => ok(&console.tick(id).await.map_err(unreadable)?.ok_or_else(|| no_tick(id))?),
        ["policies"] => ok(&console.policies().await),
        ["simulate"] => {
            let asked = Asked::of(query).map_err(|message| Problem { status: StatusCode::BAD_REQUEST, message })?;
            if visit == Visit::Linked {
                let message = "Another site's link doesn't start a simulation.".into();
                return Err(Problem { status: StatusCode::FORBIDDEN, message });
            }
            ok(&console.simulate(asked).await.map_err(not_simulated)?)
        }
        _ => Err(missing("expected /api/v1/fleet, accounts/ID, ticks, ticks/ID, policies, simulate or openapi.json")),
    }
}

async fn html(console: &Console, path: &str, query: &Query, visit: Visit) -> Result<String, Problem> {
    let parts = parts(path)?;
    let page = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["", ""] => pages::fleet(console, &console.fleet(query.get("operation")).await, query),
        ["", "accounts", id] => {
            let detail = console.account(id, query).await.ok_or_else(|| no_account(id))?;
            pages::account(console, &detail, query)
        }
        ["", "ticks"] => pages::ticks(console, &console.ticks(query).await, query),
        ["", "ticks", id] => {
            pages::tick(console, &console.tick(id).await.map_err(unreadable)?.ok_or_else(|| no_tick(id))?)
        }
        ["", "policies"] => pages::policies(console, &console.policies().await),
        ["", "simulate"] => {
            let asked = Asked::of(query);
            let simulation = match &asked {
                // A link of another site fills the form in; that it's sent is up to whoever looks at it.
                Ok(asked) if query.get("accounts").is_some() && visit == Visit::Own => {
                    Some(console.simulate(*asked).await.map_err(|problem| not_simulated(problem).message))
                }
                _ => None,
            };
            pages::simulate(console, asked, simulation, query)
        }
        _ => return Err(missing("There's no such page.")),
    };
    Ok(page.into_string())
}
