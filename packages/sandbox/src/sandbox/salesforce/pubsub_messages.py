"""The messages of the Pub/Sub API that are spoken here.

Names and numbers of ``pubsub_api.proto`` (package ``eventbus.v1``), which is in the public domain:
https://github.com/forcedotcom/pub-sub-api. Enumerations travel as whole numbers do.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Kind
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "eventbus.v1"
_TEXT, _BYTES, _NUMBER, _FLAG = (
    *(Kind.TYPE_STRING, Kind.TYPE_BYTES),
    *(Kind.TYPE_INT32, Kind.TYPE_BOOL),
)
_MESSAGES: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "TopicRequest": (("topic_name", 1, _TEXT),),
    "TopicInfo": (
        *(("topic_name", 1, _TEXT), ("tenant_guid", 2, _TEXT), ("can_publish", 3, _FLAG)),
        *(("can_subscribe", 4, _FLAG), ("schema_id", 5, _TEXT), ("rpc_id", 6, _TEXT)),
    ),
    "SchemaRequest": (("schema_id", 1, _TEXT),),
    "SchemaInfo": (("schema_json", 1, _TEXT), ("schema_id", 2, _TEXT), ("rpc_id", 3, _TEXT)),
    "ProducerEvent": (("id", 1, _TEXT), ("schema_id", 2, _TEXT), ("payload", 3, _BYTES)),
    "ConsumerEvent": (("event", 1, "ProducerEvent"), ("replay_id", 2, _BYTES)),
    "FetchRequest": (
        *(("topic_name", 1, _TEXT), ("replay_preset", 2, _NUMBER), ("replay_id", 3, _BYTES)),
        ("num_requested", 4, _NUMBER),
    ),
    "FetchResponse": (
        *(("events", 1, ["ConsumerEvent"]), ("latest_replay_id", 2, _BYTES)),
        *(("rpc_id", 3, _TEXT), ("pending_num_requested", 4, _NUMBER)),
    ),
}
"""By name: the fields, their numbers and their types; in brackets, several of them."""

LATEST, EARLIEST, CUSTOM = 0, 1, 2
"""Where a subscription begins."""


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="pubsub_api.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            several = isinstance(kind, list)
            label = Kind.LABEL_REPEATED if several else Kind.LABEL_OPTIONAL
            kind = kind[0] if several else kind
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = Kind.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = kind
    pool = DescriptorPool()
    pool.Add(file)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()
TopicRequest, TopicInfo = _CLASSES["TopicRequest"], _CLASSES["TopicInfo"]
SchemaRequest, SchemaInfo = _CLASSES["SchemaRequest"], _CLASSES["SchemaInfo"]
ProducerEvent, ConsumerEvent = _CLASSES["ProducerEvent"], _CLASSES["ConsumerEvent"]
FetchRequest, FetchResponse = _CLASSES["FetchRequest"], _CLASSES["FetchResponse"]
