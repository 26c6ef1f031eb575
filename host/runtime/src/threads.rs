//! The threads that ticks run on: one where there's no more than one processor.
//!
//! A second thread finds nothing to do there, and waking it costs a system call for each answer from AWS.

/// A Lambda function has a whole processor from this many MB on, and two from twice as many. Source: "Configure Lambda
/// function memory" in the AWS Lambda guide.
pub const MB_PER_PROCESSOR: f64 = 1_769.0;

/// The memory of this process's Lambda function, in MB; none elsewhere.
pub(crate) fn lambda_memory() -> Option<usize> {
    let size = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok()?;
    size.trim().parse().ok().filter(|megabytes| *megabytes > 0)
}

/// A runtime with as many threads as there are processors.
pub fn tokio_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match worth_one_thread(threads, lambda_memory()) {
        true => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        false => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
    }
}

/// `memory`: of the Lambda function, in MB. It tells what share of its processors it has.
fn worth_one_thread(processors: usize, memory: Option<usize>) -> bool {
    processors == 1 || memory.is_some_and(|memory| memory as f64 <= MB_PER_PROCESSOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_where_there_is_one_processor() {
        assert!(worth_one_thread(1, None) && worth_one_thread(1, Some(10_240)));
        assert!(worth_one_thread(2, Some(512)) && worth_one_thread(2, Some(1_769)));
        assert!(!worth_one_thread(2, None) && !worth_one_thread(2, Some(3_538)));
    }
}
