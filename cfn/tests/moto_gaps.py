"""What CloudFormation does and moto doesn't: outputs of nested stacks, previous values of parameters that were never
named, updates with resources whose condition doesn't hold, and texts with two dollar signs in `Fn::Sub`."""

from types import SimpleNamespace

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend, Stack


def _output(self: Stack, attribute: str) -> str:
    """`Fn::GetAtt: [NestedStack, Outputs.Name]`."""
    outputs = [output for output in self.output_map.values() if output]  # none where its condition doesn't hold
    return next(output.value for output in outputs if f"Outputs.{output.key}" == attribute)


_resolve = CloudFormationBackend._resolve_update_parameters


def _resolve_update_parameters(self, instance, incoming_params):
    """Parameters that were left at their defaults have a previous value as well."""
    instance.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in instance.parameter_list}
    return _resolve(self, instance, incoming_params)


_update = parsing.parse_and_update_resource


def _update_resource(logical_id, resource_json, resources_map, **rest):
    """What a condition leaves out isn't there to be updated."""
    condition = resource_json.get("Condition")
    if condition and not resources_map.lazy_condition_map[condition]:
        return None
    return _update(logical_id, resource_json, resources_map, **rest)


class _Template:
    """`Fn::Sub` with values of its own: `$$` stays as it is, unlike in Python's templates."""

    def __init__(self, text: str):
        self.text = text

    def safe_substitute(self, **values: str) -> str:
        for name, value in values.items():
            self.text = self.text.replace(f"${{{name}}}", value)
        return self.text


def fill() -> None:
    Stack.get_cfn_attribute = _output
    CloudFormationBackend._resolve_update_parameters = _resolve_update_parameters
    parsing.parse_and_update_resource = _update_resource
    parsing.string = SimpleNamespace(Template=_Template)
