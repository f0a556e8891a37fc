/* What it costs this machine's processors to send and to receive a byte of a frame over TCP: system
 * calls and copies. Measured over loopback, without TLS, and kept (measured.h). */
#ifndef PIPELINE_WIRE_COST_H
#define PIPELINE_WIRE_COST_H

#include "base/base.h"

#define WIRE_COST_AGE_S (30 * 86400.0)
/* Where it cannot be measured: of the order of what `./dev bench link` finds. */
#define WIRE_SEND_NS 0.35
#define WIRE_RECEIVE_NS 0.45

struct wire_cost {
    double send_ns, receive_ns; /* of a byte */
    double age_s;               /* 0: measured just now */
};

/* Takes some tens of milliseconds. OPIML_EIO and others: there is no loopback. */
int wire_cost_measure(struct wire_cost *ret_cost, struct opiml_error *err);
/* What is kept, unless it is to be measured `anew`; else measured and kept, else the estimates. */
void wire_cost_recall(bool anew, struct wire_cost *ret_cost);

#endif
