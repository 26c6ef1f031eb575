"""Schedules of further operations, as `Schedules` lists them, and what they are in the master template.

CloudFormation has no loops without a transform, which would need a further capability and that AWS runs it. So the
operations are written into the rendered template: a switch and a nested stack for each.
"""

import re
from dataclasses import dataclass

EXPECTED = "expected OPERATION=INTERVAL, such as staging_drift_report=1h, with an interval like 15m, 1h or 1h30m"
RULE_NAME_LIMIT = 64  # EventBridge's


@dataclass(frozen=True)
class Schedule:
    operation: str
    minutes: int

    @property
    def name(self) -> str:
        """The operation in names of resources."""
        return self.operation.replace("_", "-")

    @property
    def logical(self) -> str:
        """The operation in names of the template."""
        return "".join(word.capitalize() for word in self.operation.split("_"))

    @property
    def switch(self) -> str:
        """The parameter that switches it on and off."""
        return f"Enable{self.logical}"

    @property
    def expression(self) -> str:
        for minutes, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
            if self.minutes % minutes == 0:
                number = self.minutes // minutes
                return f"rate({number} {unit}{'s' if number > 1 else ''})"
        raise AssertionError("every interval is a multiple of a minute")

    def parameter(self) -> str:
        return f"""\
  {self.switch}:
    Type: String
    Default: 'true'
    AllowedValues: ['true', 'false']
    Description: Enable the schedule of {self.operation}
"""

    def resource(self) -> str:
        return f"""\
  {self.logical}Schedule:
    Type: AWS::CloudFormation::Stack
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      TemplateURL: !Sub 'https://${{ArtifactBucket}}.s3.${{AWS::Region}}.${{AWS::URLSuffix}}/${{TemplatePrefix}}/schedule-stack.yaml'
      Parameters:
        ProjectName: !Ref ProjectName
        Environment: !Ref Environment
        Operation: {self.operation}
        OperationName: {self.name}
        IntervalSeconds: {self.minutes * 60}
        ScheduleExpression: {self.expression}
        Enabled: !Ref {self.switch}
        FunctionArn: {{'Fn::GetAtt': [LambdaStack, Outputs.FunctionArn]}}
        FunctionName: {{'Fn::GetAtt': [LambdaStack, Outputs.FunctionName]}}
        ScheduleTarget: !Ref ScheduleTarget
        StateMachineArn: !If [FanOut, {{'Fn::GetAtt': [FanOutStack, Outputs.StateMachineArn]}}, '']
        EnableMonitoring: !Ref EnableMonitoring
        AlarmTopicArn: !Ref AlarmTopicArn

"""


def parse(text: str) -> list[Schedule]:
    """The schedules of a comma list. Raises ValueError with what to do."""
    found: list[Schedule] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([a-z][a-z0-9_]*)=(?=.)(?:(\d{1,2})h)?(?:(\d{1,4})m)?", part)
        if not match:
            raise ValueError(f"Schedules: {part!r}: {EXPECTED}")
        operation, hours, minutes = match[1], int(match[2] or 0), int(match[3] or 0)
        schedule = Schedule(operation, hours * 60 + minutes)
        if not 1 <= schedule.minutes <= 1440:
            raise ValueError(f"Schedules: {part!r}: expected an interval from 1m to 24h")
        if operation in ("sync_staging_accounts", "staging_account_sync"):
            raise ValueError(f"Schedules: {operation}: the sync has its schedule already, every five minutes: leave it out")
        if operation == "merge_summaries":
            raise ValueError(f"Schedules: {operation} is the host's own operation: leave it out")
        if any(other.logical == schedule.logical for other in found):
            raise ValueError(f"Schedules: {operation} is there twice, or two have the same name but for '_': keep one")
        found.append(schedule)
    return found


def check(schedules: list[Schedule], values: dict[str, str]) -> None:
    """Raises ValueError where the schedules don't fit the other parameters."""
    for schedule in schedules:
        rule = f"{values['ProjectName']}-{schedule.name}-{values['Environment']}"
        if len(rule) > RULE_NAME_LIMIT:
            raise ValueError(
                f"Schedules: the rule's name {rule} has {len(rule)} characters, and EventBridge allows {RULE_NAME_LIMIT}:"
                " choose a shorter ProjectName, or a shorter name of the operation"
            )
        if schedule.minutes * 60 <= int(values["Timeout"]):
            raise ValueError(
                f"Schedules: {schedule.operation}: ticks would overlap: expected an interval longer than Timeout"
                f" ({values['Timeout']} seconds)"
            )


def expand(template: str, schedules: list[Schedule]) -> str:
    """The master template with a switch and a nested stack for each schedule."""
    if not schedules:
        return template
    for schedule in schedules:
        if f"\n  {schedule.switch}:\n" in template:
            raise ValueError(f"Schedules: {schedule.operation}: there is a parameter {schedule.switch} already")
    before, conditions, after = template.partition("\nConditions:\n")
    template = before + "".join(map(Schedule.parameter, schedules)) + conditions + after
    before, outputs, after = template.partition("\nOutputs:\n")
    return before + "\n" + "".join(map(Schedule.resource, schedules)).removesuffix("\n") + outputs + after
