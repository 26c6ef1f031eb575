//! Credentials: the hub's own, and the sessions that AssumeRole issued.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::policy::Policy;

/// The hub user's keys. They open nothing but labs on this machine.
pub(crate) const HUB_ACCESS_KEY: &str = "AKIALABSTAGINGSYNC00";
pub(crate) const HUB_SECRET_KEY: &str = "lab/only/this/key/opens/nothing/elsewhere";

/// The oldest sessions are forgotten beyond this number, so that a long benchmark doesn't grow without end.
const MOST_SESSIONS: usize = 100_000;

/// Whose credentials signed a request. No `Debug`, because it holds secrets.
#[derive(Clone)]
pub(crate) enum Caller {
    /// The user `lab` of the hub account.
    Hub {
        account: String,
        arn: String,
    },
    Session(Arc<Session>),
}

impl Caller {
    pub fn account(&self) -> &str {
        match self {
            Self::Hub { account, .. } => account,
            Self::Session(session) => &session.account,
        }
    }

    pub fn arn(&self) -> &str {
        match self {
            Self::Hub { arn, .. } => arn,
            Self::Session(session) => &session.arn,
        }
    }
}

/// One assumed role. No `Debug`, because it holds secrets.
pub(crate) struct Session {
    pub access_key: String,
    pub secret_key: String,
    pub token: String,
    pub account: String,
    /// The role as the fleet names it, path included.
    pub role: String,
    /// `AROA...:<session name>`
    pub id: String,
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session name>`
    pub arn: String,
    pub expires: SystemTime,
    pub policy: Option<Policy>,
    ended: AtomicBool,
}

impl Session {
    pub fn expired(&self) -> bool {
        self.ended.load(Relaxed) || SystemTime::now() >= self.expires
    }

    /// Expires the session before its time.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
    }
}

/// What a session is issued for.
pub(crate) struct Grant<'a> {
    pub partition: &'a str,
    pub account: &'a str,
    pub role: &'a str,
    pub session_name: &'a str,
    pub lifetime: Duration,
    pub policy: Option<Policy>,
}

/// The sessions issued so far.
#[derive(Default)]
pub(crate) struct Sessions {
    issued: Mutex<Issued>,
    random: Random,
}

#[derive(Default)]
struct Issued {
    by_access_key: HashMap<String, Arc<Session>>,
    oldest_first: VecDeque<String>,
}

impl Sessions {
    pub fn issue(&self, grant: Grant) -> Arc<Session> {
        let Grant { partition, account, role, session_name, lifetime, policy } = grant;
        let name = role.rsplit('/').next().unwrap_or(role);
        let session = Arc::new(Session {
            access_key: format!("ASIA{}", self.random.text(16)),
            secret_key: self.random.text(40),
            token: self.random.text(320),
            account: account.to_owned(),
            role: role.to_owned(),
            id: format!("AROA{}:{session_name}", self.random.text(17)),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session_name}"),
            expires: SystemTime::now() + lifetime,
            policy,
            ended: AtomicBool::new(false),
        });
        let mut issued = self.issued.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        issued.by_access_key.insert(session.access_key.clone(), session.clone());
        issued.oldest_first.push_back(session.access_key.clone());
        if issued.oldest_first.len() > MOST_SESSIONS
            && let Some(oldest) = issued.oldest_first.pop_front()
        {
            issued.by_access_key.remove(&oldest);
        }
        session
    }

    pub fn find(&self, access_key: &str) -> Option<Arc<Session>> {
        self.issued.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).by_access_key.get(access_key).cloned()
    }
}

/// Text that nobody guesses by accident: keys, tokens and request ids need no more than that on loopback.
#[derive(Default)]
pub(crate) struct Random {
    state: RandomState,
    drawn: AtomicU64,
}

impl Random {
    pub fn number(&self) -> u64 {
        self.state.hash_one(self.drawn.fetch_add(1, Relaxed))
    }

    /// `length` capital letters and digits, as in access keys.
    pub fn text(&self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let mut number = self.number();
            for _ in 0..12.min(length - text.len()) {
                text.push(char::from(ALPHABET[(number & 31) as usize]));
                number >>= 5;
            }
        }
        text
    }

    /// Looks like a UUID.
    pub fn request_id(&self) -> String {
        let (a, b) = (self.number(), self.number());
        let c = b >> 48;
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            c & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }
}
