/* Elementary functions on doubles, without libm: only + - × /, so that IEEE 754 fixes every bit.
 * Right to some units in the last place. */
#ifndef OP_ELEMENTARY_H
#define OP_ELEMENTARY_H

/* Natural logarithm of a normal x > 0. */
double elementary_log(double x);
/* e^y for y <= 0; 0 far below. */
double elementary_exp(double y);

#endif
