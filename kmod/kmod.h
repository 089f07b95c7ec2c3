/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the module's own files know of each other.
 */
#ifndef KSPAN_KMOD_H
#define KSPAN_KMOD_H

struct dentry;
struct kspan_debug_config;
struct kspan_source;
struct seq_file;

/* main.c */
extern bool kspan_params_act;

/* port.c */
extern struct kspan_source kspan_page_source;
int port_start(void);
void port_stop(void);
void port_kick_stop(void);
void port_report_capture(struct seq_file *m);

/* shrinker.c */
int kspan_shrinker_start(void);
void kspan_shrinker_stop(void);

/* debug.c */
void kspan_debug_config(struct kspan_debug_config *config);
void kspan_debug_files(struct dentry *dir);
void kspan_debug_files_drop(void);

/* guard.c */
void kspan_guards_show(struct seq_file *m);
void kspan_guards_stop(void);

/* debugfs.c */
void kspan_debugfs_start(void);
void kspan_debugfs_stop(void);

#endif /* KSPAN_KMOD_H */
