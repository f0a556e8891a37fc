"""What gRPC's own Python packages (tools/peers.txt) find at a node that they know nothing of. Its address
is the argument; what was found is written as JSON."""
import json
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

INVENTORY = "opi_api.inventory.v1.InventoryService"


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return None


def call_by_reflection(channel, pool, service, method, **fields):
    found = pool.FindServiceByName(service).methods_by_name[method]
    request = message_factory.GetMessageClass(found.input_type)(**fields)
    reply = message_factory.GetMessageClass(found.output_type)
    return channel.unary_unary(f"/{service}/{method}", request_serializer=type(request).SerializeToString,
                               response_deserializer=reply.FromString)(request, timeout=10)


def main():
    channel = grpc.insecure_channel(sys.argv[1])
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service=INVENTORY), timeout=10)
    print(json.dumps({
        "services": list(database.get_services()),
        "inventory": json_format.MessageToDict(call_by_reflection(channel, pool, INVENTORY, "GetInventory")),
        "health": health.Check(health_pb2.HealthCheckRequest(), timeout=10).status,
        "watch": next(iter(watch)).status,
        "unknown service": failure(lambda: health.Check(health_pb2.HealthCheckRequest(service="ä"), timeout=10)),
        "unknown method": failure(lambda: channel.unary_unary("/a.B/C")(b"", timeout=10)),
        "noise": failure(lambda: channel.unary_unary(f"/{INVENTORY}/GetInventory")(b"\xff", timeout=10)),
        "too large": failure(lambda: channel.unary_unary(f"/{INVENTORY}/GetInventory")(bytes(5 << 20), timeout=10)),
        "after it": health.Check(health_pb2.HealthCheckRequest(), timeout=10).status,
    }))


main()
