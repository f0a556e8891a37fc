/* The pipeline service: opiml.v1alpha1.PipelineService. */
#ifndef NODE_PIPELINE_RPC_H
#define NODE_PIPELINE_RPC_H

#include "node/pipelines.h"
#include "rpc/server.h"

struct pipeline_rpc {
    struct rpc_service service;
    struct pipelines pipelines;
    struct datasets *datasets;   /* borrowed */
    struct upstreams *upstreams; /* borrowed; NULL: it calls no node */
    uint16_t data_port;          /* that consumers are told */
    bool ucx;                    /* consumers may take frames over it */
    bool disk;                   /* pipelines may have caches on disk here */
    const char *local;           /* and those on this machine; "": none. Borrowed */
    struct jobs *jobs;           /* borrowed; NULL: nobody shares */
    struct keep *keep;           /* borrowed; NULL: nothing is kept */
};

/* Fill *service, which a server then borrows. */
void pipeline_rpc_init(struct pipeline_rpc *service, struct datasets *datasets, uint16_t data_port);
/* Keep pipelines there from now on, and bring those back that it has. It outlives the service. */
int pipeline_rpc_keep(struct pipeline_rpc *service, struct keep *keep, struct opiml_error *err);
void pipeline_rpc_release(struct pipeline_rpc *service);

#endif
