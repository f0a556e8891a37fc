/* What a service manager is told: systemd's notification protocol. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

/* Tell the manager that started this program, if it wants to know ($NOTIFY_SOCKET), something like
 * "READY=1". One that does not hear it gives up on the program by itself, so nothing is returned.
 */
void notify(const char *state);

#endif
