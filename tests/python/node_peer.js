// Calls a node with gRPC's own JavaScript package: node_peer.js HOST:PORT PROTO-FOLDER DATA. One line of JSON.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [at, folder, data] = process.argv.slice(2);
const files = ["opiml/v1alpha1/dataset.proto", "opiml/v1alpha1/pipeline.proto", "opiml/v1alpha1/node.proto",
  "opi_api/inventory/v1/inventory.proto", "grpc/health/v1/health.proto"];
const tree = grpc.loadPackageDefinition(loader.loadSync(files, {includeDirs: [folder], enums: String, longs: String, defaults: true}));

function client(Service) {
  const made = new Service(at, grpc.credentials.createInsecure());
  return (method, request) => new Promise((resolve) => {
    made[method](request, {deadline: Date.now() + 20000}, (error, reply) =>
      resolve(error ? {code: grpc.status[error.code], text: error.details} : reply));
  });
}

// What a watch says until the node does not serve.
function watch(begun) {
  const call = new tree.grpc.health.v1.Health(at, grpc.credentials.createInsecure()).Watch({});
  const said = [];
  return new Promise((resolve) => {
    call.on("data", (reply) => {
      said.push(reply.status);
      if (said.length === 1) {
        begun();
      } else {
        call.cancel();
        resolve(said);
      }
    });
    call.on("error", () => {});
  });
}

async function main() {
  const api = tree.opiml.v1alpha1;
  const datasets = client(api.DatasetService);
  const pipelines = client(api.PipelineService);
  const node = client(api.NodeService);
  const inventory = client(tree.opi_api.inventory.v1.InventoryService);
  const mapping = `{uri: "${data}", format: image-folder}`;
  const found = {};

  found.inventory = await inventory("GetInventory", {});
  found.created = await datasets("CreateDataset", {dataset: {mapping}, datasetId: "mine"});
  found.again = await datasets("CreateDataset", {dataset: {mapping}, datasetId: "mine"});
  found.got = await datasets("GetDataset", {name: "datasets/mine"});
  found.updated = await datasets("UpdateDataset", {dataset: {name: "datasets/mine", mapping}, updateMask: {paths: ["*"]}});
  found.fixed = await datasets("UpdateDataset", {dataset: {name: "datasets/mine"}, updateMask: {paths: ["records"]}});
  found.listed = await datasets("ListDatasets", {pageSize: 1});
  found.stats = await datasets("StatsDataset", {name: "datasets/mine"});
  found.outside = await datasets("CreateDataset", {dataset: {mapping: "{uri: /etc, format: csv}"}});
  found.deleted = await datasets("DeleteDataset", {name: "datasets/mine"});
  found.missing = await datasets("DeleteDataset", {name: "datasets/mine"});
  found.allowed = await datasets("DeleteDataset", {name: "datasets/mine", allowMissing: true});
  const text = `opiml: 1\nkind: pipeline\ndataset: ${mapping}\nops: [{decode: {}}, {resize: {size: [8, 8]}}]\nbatch: {size: 8}\n`;
  found.stale = await pipelines("CreatePipeline", {pipeline: {text, file: "/p.yaml", world: 1, stripes: 1, depth: 2}});
  found.pipelines = await pipelines("ListPipelines", {pageSize: -1});
  found.health = await watch(() => node("DrainNode", {grace: {seconds: 0}}));
  found.node = await node("GetNode", {});
  found.drained = await pipelines("RenewPipeline", {name: "pipelines/none"});
  console.log(JSON.stringify(found));
  process.exit(0);
}

main();
