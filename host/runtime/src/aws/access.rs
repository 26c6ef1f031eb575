//! The access to AWS that a policy needs, and no more: IAM policies for the host and for target accounts.

use serde_json::{Value, json};

use super::discovery::Listing;

/// What the functions that a policy imports do in AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// What it lists in the target accounts.
    pub listings: Vec<Listing>,
    /// Whether it asks for changes of the stored lists.
    pub updates: bool,
}

impl Access {
    /// All that a session of a target account's role may do, whatever else the role could. Without a listing
    /// no role is assumed, so the policy isn't used.
    pub fn session_policy(&self) -> Value {
        policy([json!({"Effect": "Allow", "Action": self.in_targets(), "Resource": "*"})])
    }

    /// What the role in a target account must allow: the same, for DRS has no resources to name in a listing.
    pub fn target_role(&self) -> Value {
        self.session_policy()
    }

    /// What the host's own role must allow. `${...}` are the names that the operator chose.
    pub fn host_role(&self) -> Value {
        let table = "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TargetAccountsTable}";
        let table = json!({"Effect": "Allow", "Action": self.on_table(), "Resource": table});
        let roles = "arn:${Partition}:iam::*:role/${TargetAccountRole}";
        let assume = json!({"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": roles});
        policy([table].into_iter().chain((!self.listings.is_empty()).then_some(assume)))
    }

    /// All the actions, of the host and in the target accounts.
    pub fn actions(&self) -> Vec<&'static str> {
        let assume = (!self.listings.is_empty()).then_some("sts:AssumeRole");
        self.on_table().into_iter().chain(assume).chain(self.in_targets()).collect()
    }

    fn on_table(&self) -> Vec<&'static str> {
        let update = self.updates.then_some("dynamodb:UpdateItem");
        ["dynamodb:GetItem", "dynamodb:Scan"].into_iter().chain(update).collect()
    }

    fn in_targets(&self) -> Vec<&'static str> {
        self.listings.iter().map(|listing| listing.action()).collect()
    }
}

fn policy(statements: impl IntoIterator<Item = Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements.into_iter().collect::<Vec<_>>()})
}
