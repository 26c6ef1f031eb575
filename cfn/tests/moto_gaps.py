"""What CloudFormation does and moto doesn't: outputs of nested stacks, and previous values of parameters that were
never named."""

from moto.cloudformation.models import CloudFormationBackend, Stack


def _output(self: Stack, attribute: str) -> str:
    """`Fn::GetAtt: [NestedStack, Outputs.Name]`."""
    return next(output.value for output in self.output_map.values() if f"Outputs.{output.key}" == attribute)


_resolve = CloudFormationBackend._resolve_update_parameters


def _resolve_update_parameters(self, instance, incoming_params):
    """Parameters that were left at their defaults have a previous value as well."""
    instance.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in instance.parameter_list}
    return _resolve(self, instance, incoming_params)


def fill() -> None:
    Stack.get_cfn_attribute = _output
    CloudFormationBackend._resolve_update_parameters = _resolve_update_parameters
