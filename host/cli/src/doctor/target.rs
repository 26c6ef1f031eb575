//! Checks of target accounts: whether the role can be assumed, and whether DRS answers in a region.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use staging_sync_runtime::account::{AccountId, Item, Role, Session};
use staging_sync_runtime::aws::diagnosis::Caller;
use staging_sync_runtime::aws::discovery::{Listing, NOT_OPTED_IN, is_not_initialized, is_not_opted_in};
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Access, Aws, AwsApi, AwsError, Call, Principal, Request, SESSION_NAME};
use staging_sync_runtime::target::{RoleError, Target, is_account_key};

use super::check::Check;
use super::host::Settings;
use super::permissions::Permissions;

const ROLE: &str = "role";
const REGION: &str = "region";

/// What target accounts are checked with.
pub struct Targets<'a> {
    pub host: &'a Aws,
    pub live: &'a SdkApi,
    pub settings: &'a Settings,
    pub caller: &'a Caller,
    /// What the policy needs, and so what sessions may do.
    pub access: &'a Access,
}

impl Targets<'_> {
    /// Checks the accounts that are named, or else the first one with a role.
    pub async fn check(&self, named: Option<BTreeSet<AccountId>>, permissions: &mut Permissions) -> Vec<Check> {
        let Some(named) = named else {
            return match self.first().await {
                Ok(Some((target, role))) => self.account(&target, &role, permissions).await,
                Ok(None) => {
                    let next = "add a target account with a roleArn to the table, or name one with --account";
                    let none = Check::not_checked(ROLE, "no target account has a role to assume", next);
                    vec![none, Check::behind(REGION, ROLE)]
                }
                Err(error) => {
                    let failed = Check::failed(ROLE, format!("AWS: {error}"), "see the error; a tick would fail too");
                    vec![failed, Check::behind(REGION, ROLE)]
                }
            };
        };
        let mut checks = Vec::new();
        for id in &named {
            match self.named(id, permissions).await {
                Ok((target, role)) => checks.extend(self.account(&target, &role, permissions).await),
                Err(check) => checks.extend([check, Check::behind(REGION, ROLE)]),
            }
        }
        checks
    }

    /// The first account that a tick would assume a role of.
    async fn first(&self) -> Result<Option<(Target, Role)>, AwsError> {
        let mut start: Option<Item> = None;
        loop {
            let (items, next) = self.host.scan_page(None, start).await?;
            let key = |item: &Item| item.get("accountId").and_then(|id| id["S"].as_str()).is_some_and(is_account_key);
            let targets = items.iter().filter(|item| key(item)).filter_map(|item| Target::read(item).ok());
            let mut with_role = targets.filter(|target| !target.is_current).filter_map(|target| {
                let role = target.role().ok()?;
                Some((target, role))
            });
            if let Some(found) = with_role.next() {
                return Ok(Some(found));
            }
            match next {
                Some(next) => start = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// An account that was named, with its role; the check that says why there's none.
    async fn named(&self, id: &AccountId, permissions: &mut Permissions) -> Result<(Target, Role), Check> {
        let read = self.host.get_item(id).await;
        permissions.tried("dynamodb:GetItem", read.as_ref().err());
        let item = match read {
            Ok(Some(item)) => item,
            Ok(None) => {
                let found = format!("no target account {id} is stored");
                return Err(Check::failed(ROLE, found, "name an account of the table with --account"));
            }
            Err(error) => return Err(Check::failed(ROLE, format!("AWS: {error}"), "see the error")),
        };
        let next = format!("fix the item of {id}; until then, ticks fail or skip the account");
        let target = Target::read(&item).map_err(|bad| Check::failed(ROLE, format!("{id}: {}", bad.problem), &next))?;
        if target.is_current {
            let found = format!("{id} is the current account, which ticks skip");
            return Err(Check::not_checked(ROLE, found, "name another account with --account"));
        }
        match target.role() {
            Ok(role) => Ok((target, role)),
            Err(error) => {
                let found = match error {
                    RoleError::Missing => "no role ARN is stored, so ticks skip the account".to_owned(),
                    RoleError::Foreign(found) => found,
                };
                Err(Check::failed(ROLE, format!("{id}: {found}"), next))
            }
        }
    }

    async fn account(&self, target: &Target, role: &Role, permissions: &mut Permissions) -> Vec<Check> {
        let Some(&listing) = self.access.listings.first() else {
            let none = Check::ok(ROLE, "not needed: the policy makes no calls to target accounts");
            return vec![none, Check::ok(REGION, "not needed: the policy makes no calls to target accounts")];
        };
        let policy: Arc<str> = self.access.session_policy().to_string().into();
        let request = Request::AssumeRole {
            role_arn: role.arn.clone(),
            role_session_name: SESSION_NAME.into(),
            external_id: role.external_id.clone(),
            policy: Arc::clone(&policy),
        };
        let assumed = self.live.call(&Call { region: None, principal: Principal::Host, request }).await;
        permissions.tried("sts:AssumeRole", assumed.as_ref().err());
        if let Err(error) = assumed {
            let next = format!(
                "check that the role exists in {}, that it trusts {} with the externalId of the item, and that these \
                 credentials are allowed to sts:AssumeRole it",
                target.id, self.caller.arn
            );
            let failed = Check::failed(ROLE, format!("AWS: {}: {error}", role.arn), next);
            return vec![failed, Check::behind(REGION, ROLE)];
        }
        let stored = if role.external_id.is_some() { "the stored external id" } else { "no external id" };
        let assumed = Check::ok(ROLE, format!("assumed {} with {stored}", role.arn));
        let session = Arc::new(Session { role: role.clone(), policy });
        vec![assumed, self.region(target, session, listing, permissions).await]
    }

    /// One listing in one region: one that the account uses, where it's known to use any.
    async fn region(
        &self,
        target: &Target,
        session: Arc<Session>,
        listing: Listing,
        permissions: &mut Permissions,
    ) -> Check {
        let (regions, in_use) = (&self.settings.config.regions, target.regions_in_use());
        let region = regions.iter().find(|region| in_use.contains(*region)).or(regions.first());
        let Some(region) = region.cloned() else { return Check::behind(REGION, "environment") };
        let (id, action, list) = (&target.id, listing.action(), listing.list());
        let principal = Principal::Role(session);
        let call = Call { region: Some(region.clone()), principal, request: listing.request(None) };
        let answer = self.live.call(&call).await;
        // Both are answers of somebody who was let in, or isn't needed.
        let unused = answer.as_ref().err().and_then(|error| match error {
            error if is_not_initialized(error) => Some("DRS isn't initialized there, which counts as an empty answer"),
            error if is_not_opted_in(error, &region, &in_use) => {
                Some("the account isn't opted in there, which counts as an empty answer")
            }
            _ => None,
        });
        if answer.as_ref().err().is_none_or(|error| error.code != NOT_OPTED_IN) {
            permissions.tried(action, answer.as_ref().err().filter(|_| unused.is_none()));
        }
        match (answer, unused) {
            (_, Some(unused)) => Check::ok(REGION, format!("{region} of {id}: {unused}")),
            (Ok(page), None) => match page.get(list).and_then(Value::as_array) {
                Some(entries) => Check::ok(REGION, format!("{region} of {id}: DRS lists {} {list}", entries.len())),
                None => Check::failed(
                    REGION,
                    format!("{region} of {id}: expected a list of {list} from DRS"),
                    "find out what answers instead of AWS, for example a proxy or AWS_ENDPOINT_URL",
                ),
            },
            (Err(error), None) => Check::failed(
                REGION,
                format!("AWS: {region} of {id}: {error}"),
                format!(
                    "allow {action} for the role of {id}, in the organization's policies as well; if no account uses the \
                     region, remove it from DRS_REGIONS"
                ),
            ),
        }
    }
}
