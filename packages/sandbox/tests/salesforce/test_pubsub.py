"""The Pub/Sub API as a foreign client speaks it: gRPC, and Avro by the schema that is named."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
import requests
from fastavro import parse_schema, schemaless_reader

from sandbox.common.serve import running
from sandbox.salesforce import pubsub_messages as messages
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import ORGANIZATION_ID, USER_ID, open_org

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
TOPIC = "/data/Invoice_Requests__chn"
REQUEST = "Stripe_Invoice_Request__c"
DAY = 86_400


class Subscriber:
    """Somebody who listens: asks for so many events, and reads answers."""

    def __init__(self, channel: grpc.Channel, headers: Any, **first: Any) -> None:
        """Subscribe."""
        self._asked: SimpleQueue[Any] = SimpleQueue()
        subscribe = channel.stream_stream(
            "/eventbus.v1.PubSub/Subscribe",
            request_serializer=messages.FetchRequest.SerializeToString,
            response_deserializer=messages.FetchResponse.FromString,
        )
        self._asked.put(
            messages.FetchRequest(**{"topic_name": TOPIC, "num_requested": 10, **first})
        )
        self.answers = subscribe(iter(self._asked.get, None), metadata=headers)

    def ask(self, number: int) -> None:
        """Ask for more events."""
        self._asked.put(messages.FetchRequest(num_requested=number))

    def next(self) -> Any:
        """The next answer."""
        return next(self.answers)

    def end(self) -> None:
        """Listen no more."""
        self.answers.cancel()
        self._asked.put(None)


class Client:
    """An org with the package, over REST and gRPC."""

    def __init__(self, url: str) -> None:
        """Find it, and log in."""
        self.url = url
        port = self.admin("GET", "pubsub")["port"]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._open: list[Subscriber] = []
        self.log_in()

    def log_in(self) -> None:
        """Begin a session."""
        form = {
            "grant_type": "client_credentials",
            "client_id": CONSUMER_KEY,
            "client_secret": CONSUMER_SECRET,
        }
        answer = requests.post(f"{self.url}/services/oauth2/token", data=form, timeout=30).json()
        self.token = answer["access_token"]
        self.headers = [
            ("accesstoken", self.token),
            ("instanceurl", self.url),
            ("tenantid", ORGANIZATION_ID),
        ]

    def admin(self, method: str, path: str, **body: Any) -> Any:
        """Call an admin endpoint."""
        address = f"{self.url}/_sandbox/{path}"
        return requests.request(method, address, json=body or None, timeout=30).json()

    def wait(self, days: int) -> None:
        """Let time pass, in which sessions end."""
        self.admin("POST", "clock", advance=days * DAY)
        self.log_in()

    def rest(self, method: str, path: str, **body: Any) -> Any:
        """Call the REST API; the answer's JSON, if it has any."""
        answer = requests.request(
            method,
            f"{self.url}/services/data/v67.0/{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        return answer.json() if answer.content else None

    def ask(self, **fields: Any) -> str:
        """Create a request; its id."""
        created = self.rest("POST", f"sobjects/{REQUEST}", Action__c="Send", **fields)
        return str(created["id"])

    def subscribe(self, **first: Any) -> Subscriber:
        """Subscribe; returns when the org knows of it."""
        known = self.admin("GET", "pubsub")["subscribers"]
        subscriber = Subscriber(self.channel, self.headers, **first)
        self._open.append(subscriber)
        while self.admin("GET", "pubsub")["subscribers"] == known:
            if subscriber.answers.done():
                break
        return subscriber

    def call(self, name: str, request: Any, answer: Any) -> Any:
        """Make a call with one answer."""
        method = self.channel.unary_unary(
            f"/eventbus.v1.PubSub/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return method(request, metadata=self.headers)

    def read(self, event: Any) -> dict[str, Any]:
        """What an event says, by the schema that it names."""
        asked = messages.SchemaRequest(schema_id=event.schema_id)
        info = self.call("GetSchema", asked, messages.SchemaInfo)
        schema = parse_schema(json.loads(info.schema_json))
        said: Any = schemaless_reader(io.BytesIO(event.payload), schema, None)
        said["fields"] = [field["name"] for field in json.loads(info.schema_json)["fields"]]
        return dict(said)

    def close(self) -> None:
        """End everything."""
        for subscriber in self._open:
            subscriber.end()
        self.channel.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One org for all tests here."""
    with running(lambda url: application(open_org(PACKAGE), url, pubsub_port=0)) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    """The org, with no events yet."""
    requests.post(f"{server}/_sandbox/reset", json={"seed": "empty"}, timeout=30)
    requests.post(f"{server}/_sandbox/pubsub", json={"keepalive": 270}, timeout=30)
    one = Client(server)
    yield one
    one.close()


def test_the_topic_and_its_schema(client: Client) -> None:
    """A client asks what there is before it subscribes."""
    topic = client.call("GetTopic", messages.TopicRequest(topic_name=TOPIC), messages.TopicInfo)
    assert (topic.topic_name, topic.can_subscribe, topic.can_publish) == (TOPIC, True, False)
    asked = messages.SchemaRequest(schema_id=topic.schema_id)
    schema = json.loads(client.call("GetSchema", asked, messages.SchemaInfo).schema_json)
    assert schema["name"] == "Stripe_Invoice_Request__ChangeEvent"
    names = [field["name"] for field in schema["fields"]]
    assert names[0] == "ChangeEventHeader"
    assert {"Name", "CreatedById", "Action__c", "State__c"} < set(names)
    assert not {"Id", "IsDeleted", "SystemModstamp"} & set(names)


def test_a_record_that_is_created_is_told_at_once(client: Client) -> None:
    """Which object, which record, by whom, and its values."""
    subscriber = client.subscribe()
    record = client.ask(Parameters__c="amount: 1")
    answer = subscriber.next()
    [event] = answer.events
    said = client.read(event.event)
    header = said["ChangeEventHeader"]
    assert (header["entityName"], header["changeType"]) == (REQUEST, "CREATE")
    assert (header["recordIds"], header["commitUser"]) == ([record], USER_ID)
    assert header["changedFields"] == []
    assert (said["Action__c"], said["State__c"], said["Outcome__c"]) == ("Send", "Queued", None)
    assert answer.latest_replay_id == event.replay_id
    assert answer.pending_num_requested == 9


def test_a_change_names_its_fields_by_a_bitmap(client: Client) -> None:
    """Bit i is the i-th field of the schema; what became empty stands in a bitmap of its own."""
    record = client.ask(Open_Key__c="a:Send", Parameters__c="x: y")
    subscriber = client.subscribe()
    path = f"sobjects/{REQUEST}/{record}"
    client.rest("PATCH", path, State__c="Running", Open_Key__c=None)
    said = client.read(subscriber.next().events[0].event)
    header = said["ChangeEventHeader"]
    changed, nulled = (int(header[name][0], 16) for name in ("changedFields", "nulledFields"))
    named = [name for i, name in enumerate(said["fields"]) if changed >> i & 1]
    assert {"State__c", "Open_Key__c", "LastModifiedDate"} <= set(named)
    assert "Parameters__c" not in named
    assert [name for i, name in enumerate(said["fields"]) if nulled >> i & 1] == ["Open_Key__c"]
    assert (said["State__c"], said["Parameters__c"]) == ("Running", None)
    assert (header["changeType"], header["recordIds"]) == ("UPDATE", [record])


def test_what_was_rolled_back_is_never_told(client: Client) -> None:
    """Two records in one call, all or nothing, and the second is refused."""
    subscriber = client.subscribe()
    node = {"attributes": {"type": REQUEST}, "Action__c": "Send"}
    rows = [node, node | {"Action__c": "Dance"}]
    client.rest("POST", "composite/sobjects", allOrNone=True, records=rows)
    record = client.ask()
    said = client.read(subscriber.next().events[0].event)
    assert said["ChangeEventHeader"]["recordIds"] == [record]


def test_other_objects_are_not_told(client: Client) -> None:
    """Only what the channel carries."""
    subscriber = client.subscribe()
    client.rest("POST", "sobjects/Account", Name="Acme")
    record = client.ask()
    said = client.read(subscriber.next().events[0].event)
    assert said["ChangeEventHeader"]["recordIds"] == [record]


def test_nobody_gets_more_than_asked_for(client: Client) -> None:
    """Two are wanted of three; the third comes when more are."""
    subscriber = client.subscribe(num_requested=2)
    for _ in range(3):
        client.ask()
    got = 0
    while got < 2:
        got += len(subscriber.next().events)
    assert got == 2
    subscriber.ask(5)
    answer = subscriber.next()
    assert (len(answer.events), answer.pending_num_requested) == (1, 4)


def test_a_subscription_goes_on_where_another_stopped(client: Client) -> None:
    """After a place that was kept; from the beginning; or with what comes from now on."""
    records = [client.ask() for _ in range(3)]
    early = client.subscribe(replay_preset=messages.EARLIEST).next()
    assert len(early.events) == 3
    place = early.events[0].replay_id
    later = client.subscribe(replay_preset=messages.CUSTOM, replay_id=place).next()
    told = [client.read(event.event)["ChangeEventHeader"]["recordIds"] for event in later.events]
    assert told == [[record] for record in records[1:]]
    tip = client.subscribe()
    newest = client.ask()
    assert client.read(tip.next().events[0].event)["ChangeEventHeader"]["recordIds"] == [newest]


def test_a_sign_of_life_carries_the_place(client: Client) -> None:
    """Nothing happens for a while; a client that keeps this place is not behind afterwards."""
    client.admin("POST", "pubsub", keepalive=0.05)
    client.ask()
    client.wait(days=2)
    answer = client.subscribe().next()
    assert list(answer.events) == []
    client.wait(days=2)
    again = client.subscribe(replay_preset=messages.CUSTOM, replay_id=answer.latest_replay_id)
    assert list(again.next().events) == []


@pytest.mark.parametrize(
    ("replay", "code"),
    [("old", "replayid.validation.failed"), ("strange", "replayid.corrupted")],
)
def test_a_place_that_is_known_no_longer(client: Client, replay: str, code: str) -> None:
    """After 72 hours, or of another bus."""
    client.ask()
    place = client.subscribe(replay_preset=messages.EARLIEST).next().latest_replay_id
    client.wait(days=4)
    given = place if replay == "old" else b"strange"
    with pytest.raises(grpc.RpcError) as error:
        client.subscribe(replay_preset=messages.CUSTOM, replay_id=given).next()
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert code in dict(error.value.trailing_metadata())["error-code"]


def test_who_is_not_logged_in_hears_nothing(client: Client) -> None:
    """A token that has ended, another org's id, a channel that is not there."""
    client.headers[0] = ("accesstoken", "00D!wrong")
    with pytest.raises(grpc.RpcError) as error:
        client.subscribe().next()
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    client.headers[0] = ("accesstoken", client.token)
    with pytest.raises(grpc.RpcError) as error:
        client.subscribe(topic_name="/data/Other__chn").next()
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_org_may_end_a_subscription(client: Client) -> None:
    """As it does when it is updated: whoever listens has to come back."""
    subscriber = client.subscribe()
    client.admin("DELETE", "pubsub")
    with pytest.raises(grpc.RpcError) as error:
        subscriber.next()
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
