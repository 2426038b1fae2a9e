"""The messages of Salesforce's Pub/Sub API that are needed here.

Names and numbers of ``pubsub_api.proto`` (package ``eventbus.v1``), which is in the public domain:
https://github.com/forcedotcom/pub-sub-api. Enumerations travel as whole numbers do.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Kind
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessages

PACKAGE = "eventbus.v1"

_TEXT, _BYTES = {"type": Kind.TYPE_STRING}, {"type": Kind.TYPE_BYTES}
_NUMBER, _FLAG = {"type": Kind.TYPE_INT32}, {"type": Kind.TYPE_BOOL}
_PRODUCED = {"type": Kind.TYPE_MESSAGE, "type_name": f".{PACKAGE}.ProducerEvent"}
_CONSUMED = {"type": Kind.TYPE_MESSAGE, "type_name": f".{PACKAGE}.ConsumerEvent"}

FIELDS: Mapping[str, tuple[tuple[str, int, dict[str, Any]], ...]] = {
    "TopicRequest": (("topic_name", 1, _TEXT),),
    "TopicInfo": (("topic_name", 1, _TEXT), ("can_subscribe", 4, _FLAG)),
    "SchemaRequest": (("schema_id", 1, _TEXT),),
    "SchemaInfo": (("schema_json", 1, _TEXT), ("schema_id", 2, _TEXT)),
    "ProducerEvent": (("id", 1, _TEXT), ("schema_id", 2, _TEXT), ("payload", 3, _BYTES)),
    "ConsumerEvent": (("event", 1, _PRODUCED), ("replay_id", 2, _BYTES)),
    "FetchRequest": (
        *(("topic_name", 1, _TEXT), ("replay_preset", 2, _NUMBER), ("replay_id", 3, _BYTES)),
        ("num_requested", 4, _NUMBER),
    ),
    "FetchResponse": (
        ("events", 1, _CONSUMED | {"label": Kind.LABEL_REPEATED}),
        *(("latest_replay_id", 2, _BYTES), ("pending_num_requested", 4, _NUMBER)),
    ),
}
"""By message: the fields, their numbers and their types, as descriptors have them."""

LATEST, CUSTOM = 0, 2
"""Where a subscription begins: with what comes from now on, or after a place that is named."""


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="pubsub_api.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            message.field.add(name=field, number=number, **kind)
    return {name.rpartition(".")[2]: made for name, made in GetMessages([file]).items()}


_CLASSES = _classes()
TopicRequest, TopicInfo = _CLASSES["TopicRequest"], _CLASSES["TopicInfo"]
SchemaRequest, SchemaInfo = _CLASSES["SchemaRequest"], _CLASSES["SchemaInfo"]
FetchRequest, FetchResponse = _CLASSES["FetchRequest"], _CLASSES["FetchResponse"]
