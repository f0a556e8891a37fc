/* Moves what a stage makes over a link, on a thread of the caller's. */
#ifndef PIPELINE_PUMP_H
#define PIPELINE_PUMP_H

#include "net/link.h"
#include "pipeline/stage.h"

/* Until the stage has made all, fails, or the link is shut; then ends the link, with the failure.
 */
void pump_run(struct stage *stage, struct link *link);

#endif
