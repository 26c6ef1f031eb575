//! The lab over the real wire: the AWS SDK's own clients and bare sockets against a lab in this process.

mod demo;
mod drs;
mod dynamodb;
mod faults;
mod s3;
mod signature;
mod sts;
mod support;
