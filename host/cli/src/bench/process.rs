//! Figures of processes and of the machine, from `/proc`.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The unit of processor times in `/proc`, in seconds: Linux has told programs the same on all architectures for decades.
const JIFFY: f64 = 0.01;

/// The processor time of a process, that of threads that have ended included, to a hundredth of a second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Processor {
    pub user_seconds: f64,
    pub kernel_seconds: f64,
}

impl Processor {
    /// Of a process until now; `self` is this one.
    pub fn of(process: &str) -> Self {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name, in brackets, may have spaces.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut times =
            fields.split_whitespace().skip(11).map(|time| time.parse().map_or(0.0, |time: f64| time * JIFFY));
        Self { user_seconds: times.next().unwrap_or_default(), kernel_seconds: times.next().unwrap_or_default() }
    }

    pub fn seconds(self) -> f64 {
        self.user_seconds + self.kernel_seconds
    }
}

impl Sub for Processor {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            user_seconds: self.user_seconds - before.user_seconds,
            kernel_seconds: self.kernel_seconds - before.kernel_seconds,
        }
    }
}

/// The most memory that a process had at any time, in bytes; `self` is this one.
pub fn peak_memory(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

/// The processor time of a process's threads, to the nanosecond; that of threads that have ended is missing.
pub fn cpu(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of_thread = |thread: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(of_thread).sum())
}

/// The machine: how many processors, and which.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown", |(_, model)| model.trim());
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    format!("{cores} cores, {model}; {build} build")
}
