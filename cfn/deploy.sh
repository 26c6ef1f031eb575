#!/usr/bin/env bash
# Deploys one environment: packages the function, uploads it and the templates, and makes or updates the stack.
#
#   cfn/deploy.sh ENVIRONMENT [--dry-run] [--package ZIP]   e.g. cfn/deploy.sh test
#   cfn/deploy.sh ENVIRONMENT --disable | --enable [--operation NAME] [--dry-run]
#
# Settings are in cfn/environments/ENVIRONMENT.env, if there is such a file: one Name=Value a line, the names being the
# parameters of master-template.yaml, or StackName (default <ProjectName>-<ENVIRONMENT>). Deploying again without a
# change changes nothing. --dry-run asks AWS what there is, changes nothing, and tells what would be run. --disable
# and --enable stop and start all schedules, or that of one operation, and nothing else. Exit code: 0 done, 1 it can't be,
# 2 bad arguments.
set -euo pipefail

readonly HERE=cfn
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec 3>&1 # the plan of a dry run, wherever else a command's output goes
say() { echo "deploy.sh: $*" >&2; }
fail() {
    say "error: $*"
    exit 1
}
usage() {
    sed -n '3,5s/^# *//p' "$HERE/deploy.sh" >&2
    exit 2
}

# A command that changes something in AWS.
change() {
    if [[ $dry_run == yes ]]; then
        echo "would run:$(printf ' %q' "$@")" >&3
    else
        "$@"
    fi
}

# --- Arguments and settings

environment='' dry_run=no schedule='' operation='' package=''
while (($#)); do
    case $1 in
    --dry-run) dry_run=yes ;;
    --disable | --enable)
        [[ -z $schedule ]] || usage
        schedule=${1#--}
        ;;
    --operation)
        [[ $# -ge 2 ]] || usage
        operation=$2
        shift
        ;;
    --package)
        [[ $# -ge 2 ]] || usage
        package=$2
        shift
        ;;
    -*) usage ;;
    *)
        [[ -z $environment ]] || usage
        environment=$1
        ;;
    esac
    shift
done
[[ $environment =~ ^[a-z0-9][a-z0-9-]{0,11}$ ]] || usage
[[ -z $operation || -n $schedule ]] || usage

settings=$HERE/environments/$environment.env
render() { # ARGUMENTS...
    local from=()
    [[ ! -f $settings ]] || from=(--settings "$settings")
    python3 -B $HERE/render.py --template $HERE/master-template.yaml ${from[@]+"${from[@]}"} \
        "Environment=$environment" "$@"
}
setting() { sed -n "s/^$1=//p" <<<"$values"; }
# Operation, name and switch of every schedule, one a line: that of the sync, and those of a list as in Schedules.
all_schedules() { # LIST
    echo "sync_staging_accounts staging-account-sync EnableStagingAccountSync"
    python3 -B $HERE/render.py --template $HERE/master-template.yaml --schedules "$1"
}

# --- Tools and credentials

missing=()
command -v aws >/dev/null || missing+=("the AWS CLI ('pip install awscli', or version 2 from AWS)")
command -v python3 >/dev/null || missing+=("python3")
if [[ -z $schedule && -z $package ]]; then
    command -v make >/dev/null || missing+=("make")
    command -v cargo >/dev/null || missing+=("cargo (Rust 1.95, https://rustup.rs)")
fi
((${#missing[@]} == 0)) || fail "missing: $(printf '%s; ' "${missing[@]}")install it and try again"

values=$(render) || fail "the settings can't be used"
project=$(setting ProjectName)
stack=$(setting StackName)
stack=${stack:-$project-$environment}
architecture=$(setting Architecture)
function=$(setting FunctionName)
function=${function:-$project-query-handler-$environment}
table=$(setting TargetAccountsTable)
concurrency=$(setting ReservedConcurrency)
rule=$project-staging-account-sync-$environment
schedules=$(all_schedules "$(setting Schedules)")
count=$(wc -l <<<"$schedules")
if [[ $(setting ScheduleTarget) == lambda && -n $concurrency ]] && ((concurrency < count)); then
    fail "ReservedConcurrency=$concurrency is below the number of schedules, $count, so ticks that are due at once would be" \
        "refused: raise it (by one more, for a refresh by hand), in $settings"
fi
if [[ $(setting ScheduleTarget) == state-machine ]]; then
    at_once=$(setting SegmentsAtOnce)
    [[ -z $concurrency ]] || ((concurrency >= at_once * count)) ||
        fail "ReservedConcurrency=$concurrency is below SegmentsAtOnce=$at_once$( ((count == 1)) ||
            echo " for each of $count schedules"), so segments would be refused:" \
            "raise the one (by one more, for a refresh by hand) or lower the other, in $settings"
    [[ $(setting MapMode) != INLINE ]] || ((at_once <= 40)) ||
        fail "SegmentsAtOnce=$at_once, and MapMode=INLINE has 40 at most: MapMode=DISTRIBUTED, in $settings"
fi

export AWS_PAGER=''
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ -n $region ]] || fail "no AWS region: set AWS_REGION to the region of the table of target accounts"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region # version 1 of the CLI knows the second only
# stdout alone is data: the CLI may warn on stderr though all is well.
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
caller=$(aws sts get-caller-identity --query '[Account,Arn]' --output text 2>"$errors") ||
    fail "no AWS credentials that work: set AWS_PROFILE, or log in; the CLI says: $(<"$errors")"
read -r account arn <<<"$caller"
say "$stack in $region of account $account, as $arn"

# --- What there is

look() {
    if ! found=$(aws cloudformation describe-stacks --stack-name "$stack" --output json 2>"$errors"); then
        [[ $(<"$errors") == *"does not exist"* ]] || fail "the stack can't be looked at: $(<"$errors")"
        found='{"Stacks": [{}]}'
    fi
}
# What Python makes of the stack that was found.
described() { python3 -c "import json, sys; stack = json.load(sys.stdin)['Stacks'][0]; print($1)" <<<"$found"; }
parameter() { # NAME
    described "next((one['ParameterValue'] for one in stack.get('Parameters', []) if one['ParameterKey'] == '$1'), '')"
}
look
status=$(described "stack.get('StackStatus', '')")
# A stack in review has nothing yet, not even parameters: its first change set was never executed.
[[ $status != REVIEW_IN_PROGRESS ]] || status=''
if [[ -n $status ]]; then
    # A platform may have a stack of this name already; ours in its place would delete all that is in it.
    [[ $(parameter TemplatePrefix) == staging-sync/templates/* ]] ||
        fail "there is a stack $stack, and it isn't staging-sync's: nothing was changed." \
            "Choose another name: a line StackName=... in $settings"
    case $status in
    ROLLBACK_COMPLETE | DELETE_FAILED | ROLLBACK_FAILED)
        fail "the stack is in $status: see why in its events, delete it" \
            "(aws cloudformation delete-stack --stack-name $stack), and deploy again"
        ;;
    *_IN_PROGRESS) fail "the stack is in $status: wait until that is done, and try again" ;;
    esac
fi

# --- The schedules alone

# Sets these parameters of the stack and keeps all others.
set_enabled() { # VALUE SWITCH...
    local value=$1 parameters=() name changed=no
    shift
    for name in "$@"; do
        [[ $(parameter "$name") == "$value" ]] || changed=yes
        parameters+=("ParameterKey=$name,ParameterValue=$value")
    done
    if [[ $changed == no ]]; then
        say "the stack has $(printf '%s ' "$@")at $value already"
        return
    fi
    for name in $(described "*(one['ParameterKey'] for one in stack['Parameters'])"); do
        [[ " $* " == *" $name "* ]] || parameters+=("ParameterKey=$name,UsePreviousValue=true")
    done
    change aws cloudformation update-stack --stack-name "$stack" --use-previous-template \
        --parameters "${parameters[@]}" --capabilities CAPABILITY_NAMED_IAM --output text
    change aws cloudformation wait stack-update-complete --stack-name "$stack"
}

if [[ -n $schedule ]]; then
    [[ -n $status ]] || fail "there is no stack $stack in $region: deploy it first"
    # What is deployed, whatever the settings say by now.
    deployed=$(all_schedules "$(parameter Schedules)")
    switches=() rules=() known=()
    while read -r name part switch; do
        known+=("$name")
        [[ -z $operation || $operation == "$name" ]] || continue
        rules+=("$project-$part-$environment")
        switches+=("$switch")
    done <<<"$deployed"
    ((${#rules[@]})) || fail "the stack has no schedule of $operation: it has $(printf '%s ' "${known[@]}")"
    if [[ $schedule == disable ]]; then
        for rule in "${rules[@]}"; do
            change aws events disable-rule --name "$rule" # at once; then so that it stays
        done
        set_enabled false "${switches[@]}"
    else
        set_enabled true "${switches[@]}"
        for rule in "${rules[@]}"; do
            change aws events enable-rule --name "$rule" # it may have been disabled by hand
        done
    fi
    for rule in "${rules[@]}"; do
        [[ $dry_run == yes ]] || say "the schedule $rule is ${schedule}d"
    done
    exit 0
fi

# --- Names that are taken, before CloudFormation finds out halfway

exists() { "$@" >/dev/null 2>&1; }
if [[ -z $status ]]; then
    ! exists aws lambda get-function --function-name "$function" ||
        fail "there is a function $function already: name another, FunctionName=... in $settings"
    ! exists aws events describe-rule --name "$rule" ||
        fail "there is a rule $rule already. The platform's may run another job: leave it," \
            "and choose another name, ProjectName=... in $settings;" \
            "$HERE/environments/beside-platform.env.example is there to copy"
    if [[ -z $table ]] && exists aws dynamodb describe-table --table-name "$project-target-accounts-$environment"; then
        fail "there is a table $project-target-accounts-$environment already: to use it," \
            "TargetAccountsTable=$project-target-accounts-$environment in $settings"
    fi
    unreserved=$(aws lambda get-account-settings --query AccountLimit.UnreservedConcurrentExecutions \
        --output text 2>/dev/null) || unreserved=''
    if [[ -n $concurrency && $unreserved =~ ^[0-9]+$ ]] && ((unreserved - concurrency < 100)); then
        fail "of this account's concurrent executions $unreserved are not reserved, and Lambda keeps 100 of them:" \
            "ask for a higher quota, or reserve none: a line ReservedConcurrency= (and nothing more) in $settings"
    fi
fi
# The rule of an operation that the stack doesn't have yet.
deployed=$([[ -z $status ]] || all_schedules "$(parameter Schedules)")
while read -r name part _; do
    [[ $name != sync_staging_accounts && $deployed != *"$name $part "* ]] || continue
    ! exists aws events describe-rule --name "$project-$part-$environment" ||
        fail "there is a rule $project-$part-$environment already, which isn't this stack's: remove it, or leave $name out" \
            "of Schedules in $settings"
done <<<"$schedules"
if [[ -n $table ]] && ! exists aws dynamodb describe-table --table-name "$table"; then
    fail "there is no table $table in $region, or it may not be looked at: TargetAccountsTable in $settings"
fi

# --- The package, and where it goes

if [[ -z $package ]]; then
    make package ARCH="$architecture" >&2 || fail "no package; the messages above say why"
    package=target/package/staging-sync-$architecture.zip
fi
[[ -f $package ]] || fail "there is no package $package"

digest() { cat "$@" | python3 -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }
nested=("$HERE/lambda-stack.yaml" "$HERE/fanout-stack.yaml" "$HERE/eventbridge-stack.yaml" "$HERE/monitoring-stack.yaml"
    "$HERE/schedule-stack.yaml")
# Named by their digests: what is there already is the same, and what a stack refers to never changes.
code_key=staging-sync/code/$(digest "$package").zip
template_prefix=staging-sync/templates/$(digest "${nested[@]}")
bucket=$(setting ArtifactBucket)
if [ -z "$bucket" ]; then
    rest=artifacts-$account-$region
    bucket=${project:0:62-${#rest}}-$rest # S3 takes 63 characters
fi

if ! exists aws s3api head-bucket --bucket "$bucket" --expected-bucket-owner "$account"; then
    change aws cloudformation deploy --stack-name "$project-artifacts" --template-file $HERE/artifact-bucket.yaml \
        --parameter-overrides "BucketName=$bucket" --no-fail-on-empty-changeset >&2 ||
        fail "no bucket $bucket for the package: does another account own that name?" \
            "To use one that you have, a line ArtifactBucket=... in $settings"
fi
uploaded() { exists aws s3api head-object --bucket "$bucket" --key "$1" --expected-bucket-owner "$account"; }
upload() { # FILE KEY
    change aws s3api put-object --bucket "$bucket" --key "$2" --body "$1" \
        --expected-bucket-owner "$account" --output text >&2
}
uploaded "$code_key" || upload "$package" "$code_key"
if ! uploaded "$template_prefix/$(basename "${nested[${#nested[@]} - 1]}")"; then # the last one, so all of them
    for template in "${nested[@]}"; do
        upload "$template" "$template_prefix/$(basename "$template")"
    done
fi

# --- The stack

mkdir -p target/package
rendered=target/package/master-$environment.yaml
values=$(render --out "$rendered" "ArtifactBucket=$bucket" "TemplatePrefix=$template_prefix" "CodeKey=$code_key")
switches=" $(cut -d ' ' -f 3 <<<"$schedules" | tr '\n' ' ')"
overrides=()
while IFS= read -r value; do
    # Whether a schedule is on stays as it is, unless the settings say otherwise.
    name=${value%%=*}
    [[ $name != StackName ]] || continue
    [[ $switches != *" $name "* || -n $(render --only "$name") ]] || continue
    overrides+=("$value")
done <<<"$values"
change aws cloudformation deploy --stack-name "$stack" --template-file "$rendered" \
    --parameter-overrides "${overrides[@]}" --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset >&2 ||
    fail "the deployment failed, and CloudFormation went back to what was: 'aws cloudformation describe-stack-events" \
        "--stack-name $stack' says why; look for the first CREATE_FAILED or UPDATE_FAILED, in the nested stacks as well"

if [[ $dry_run == yes ]]; then
    say "nothing was changed"
    exit 0
fi
look
described "*(one['OutputKey'] + '\t' + one['OutputValue'] for one in stack.get('Outputs', [])), sep='\n'"
while read -r name _ switch; do
    say "the schedule of $name is $([[ $(parameter "$switch") == true ]] && echo on || echo off)"
done <<<"$schedules"
