// A plugin for QEMU that counts the instructions that a program executes, and writes their number into a log:
//
//     qemu-aarch64 -plugin instructions.so -d plugin -D log program
//
// Debian packages no header of the interface, so what is needed of it is declared here. Source: QEMU's page "QEMU TCG
// Plugins", version 1 of the interface, which QEMU 4.2 to 8.2 have.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
/// A run of instructions that QEMU translates together, and that is left only at its end.
struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(
    plugin_id id, void (*translated)(plugin_id id, struct qemu_plugin_tb *block));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *block, void (*executed)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ended)(plugin_id id, void *data), void *data);
void qemu_plugin_outs(const char *text);

EXPORTED int qemu_plugin_version = 1;

static uint64_t count;

static void executed(unsigned int cpu, void *length) {
    (void)cpu;
    count += (uintptr_t)length;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    // 0: the function reads no registers.
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void ended(plugin_id id, void *data) {
    (void)id, (void)data;
    char text[64];
    snprintf(text, sizeof text, "instructions: %" PRIu64 "\n", count);
    qemu_plugin_outs(text);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int arguments, char **values);
EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int arguments, char **values) {
    (void)info, (void)arguments, (void)values;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, 0);
    return 0;
}
