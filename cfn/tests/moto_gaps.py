"""What CloudFormation does and moto doesn't: outputs of nested stacks."""

from moto.cloudformation.models import Stack


def _output(self: Stack, attribute: str) -> str:
    """`Fn::GetAtt: [NestedStack, Outputs.Name]`."""
    return next(output.value for output in self.output_map.values() if f"Outputs.{output.key}" == attribute)


def fill() -> None:
    Stack.get_cfn_attribute = _output
