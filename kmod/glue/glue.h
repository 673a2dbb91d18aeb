/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The border between the kernel and the Rust side, which is compiled once for every kernel. The
 * Rust side knows no structure of the kernel's: it gets pointers and hands them back to functions
 * that are here. Calls are direct in both directions, no pointer to a function crosses the border,
 * so no control-flow integrity has to know the Rust side. No policy is here.
 *
 * Rust's declarations of the same are in dm/ffi.rs, and what kernel/ takes in kernel/lib.rs.
 */
#ifndef DM_REMAP_GLUE_H
#define DM_REMAP_GLUE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

#include "kernels.h"

/* State of a bio, kept beside it while it is under way; dm/bio.rs reads and writes it. */
struct dm_remap_beside {
	/* What it carries, and where on the mapped device: the bio's own is used up when it ends. */
	union {
		struct bvec_iter part;
		u64 room[4];
	};
	/* Its operation and flags: the block layer takes away those a device has no use for. */
	union {
		struct {
			u32 op;
			s32 stage;
		};
		u64 op_of_new;
	};
	/* The bio, and the next of those that the worker holds, while it is held. */
	struct bio *bio;
	struct dm_remap_beside *next;
};

/* Numbers and offsets that dm/ffi.rs takes for granted. */
static_assert(DM_MAPIO_SUBMITTED == 0 && DM_MAPIO_KILL == 4);
static_assert(DM_ENDIO_DONE == 0 && DM_ENDIO_INCOMPLETE == 1);
static_assert(DM_NAME_LEN == 128);
static_assert((__force u32)REQ_OP_DISCARD == 3 && REQ_OP_BITS == 8);
static_assert(offsetof(struct bvec_iter, bi_sector) == 0 && sizeof(sector_t) == 8);
static_assert(offsetof(struct bvec_iter, bi_size) == 8);
static_assert(sizeof(struct bvec_iter) <= 32);
static_assert(offsetof(struct dm_remap_beside, op) == 32);
static_assert(sizeof(struct dm_remap_beside) == 56);

/* How the target answered for a bio: sent to @at on @bdev, or what map returns where there is none. */
struct dm_remap_answer {
	struct block_device *bdev;
	u64 at;
};

/* What may be asked of a bio's operation and flags, by numbers that no kernel changes. */
enum { DM_REMAP_IS_DURABLE = 1, DM_REMAP_IS_READ_AHEAD = 2, DM_REMAP_FAILS_FAST = 4 };

/* What dm_remap_bdev_rw is to do. */
enum { DM_REMAP_READ, DM_REMAP_WRITE_DURABLY };

/* What dm_remap_rs_status is to print. */
enum { DM_REMAP_STATUS, DM_REMAP_TABLE, DM_REMAP_MEASUREMENT };

/* Counts of the bios of one generation. */
struct dm_remap_generation {
	unsigned long entered;
	unsigned long left;
};

/*
 * Counts bios that enter and that leave, wherever they leave, in memory of one CPU at a time, and
 * by generation: those that enter belong to the open one, and nobody is waited for but those of the
 * closed one. A bio carries its generation in bi_private: device-mapper leaves this field of its
 * clones to targets, drivers below to whoever sent the bio.
 */
struct dm_remap_gate {
	struct dm_remap_generation __percpu *open;
	struct dm_remap_generation __percpu *closed;
	struct dm_remap_generations __percpu *all;
};

static inline void dm_remap_enter(struct dm_remap_gate *gate, struct bio *bio)
{
	struct dm_remap_generation __percpu *generation = READ_ONCE(gate->open);

	this_cpu_inc(generation->entered);
	bio->bi_private = (void *)(__force unsigned long)generation;
}

static inline void dm_remap_leave(struct bio *bio)
{
	struct dm_remap_generation __percpu *generation =
		(struct dm_remap_generation __percpu *)(__force unsigned long)bio->bi_private;

	/* Whoever sees that it left sees that it had entered. */
	smp_wmb();
	this_cpu_inc(generation->left);
}

/*
 * A queue with a thread kept for it, and on it a piece of work and a timer, neither of which
 * waits for the other.
 */
struct dm_remap_worker {
	struct workqueue_struct *queue;
	struct work_struct work;
	struct delayed_work timer;
	void *target;
};

struct mutex;

/* The Rust side. @target is what dm_remap_target_made was handed. */
int dm_remap_rs_init(void);
void dm_remap_rs_exit(void);
int dm_remap_rs_ctr(struct dm_target *ti, unsigned int argc, char **argv);
void dm_remap_rs_dtr(void *target);
struct dm_remap_answer dm_remap_rs_map(void *target, struct bio *bio,
				       struct dm_remap_beside *beside);
int dm_remap_rs_end_io(void *target, struct bio *bio, struct dm_remap_beside *beside,
		       unsigned int status);
void dm_remap_rs_work(void *target);
void dm_remap_rs_timer(void *target);
void dm_remap_rs_presuspend(void *target);
void dm_remap_rs_presuspend_undo(void *target);
void dm_remap_rs_postsuspend(void *target);
int dm_remap_rs_preresume(void *target);
void dm_remap_rs_resume(void *target);
void dm_remap_rs_status(void *target, int kind, char *buffer, unsigned int length);
int dm_remap_rs_message(void *target, unsigned int argc, char **argv, char *buffer,
			unsigned int length);
struct block_device *dm_remap_rs_largest_device(void *target);
int dm_remap_rs_iterate_devices(struct dm_target *ti, void *target, void *callout, void *context);
unsigned int dm_remap_rs_logical_block_bytes(void *target);

/* target.c */
int dm_remap_register(const char *name, const unsigned int *version);
void dm_remap_unregister(void);
void dm_remap_target_made(struct dm_target *ti, void *target, struct dm_remap_gate *gate,
			  unsigned int flushes, bool discards);
void dm_remap_target_refused(struct dm_target *ti, const char *why);
u64 dm_remap_target_begin(struct dm_target *ti);
u64 dm_remap_target_length(struct dm_target *ti);
void *dm_remap_target_table(struct dm_target *ti);
void *dm_remap_target_mapped(struct dm_target *ti);
bool dm_remap_target_is_read_only(struct dm_target *ti);
const char *dm_remap_target_number(struct dm_target *ti);
int dm_remap_target_name(struct dm_target *ti, char *name);
void dm_remap_target_event(struct dm_target *ti);
int dm_remap_target_tell(struct dm_target *ti, void *callout, void *context,
			 struct dm_dev *device, u64 length);

/* device.c */
int dm_remap_device_open(struct dm_target *ti, const char *path, struct dm_dev **device);
void dm_remap_device_put(struct dm_target *ti, struct dm_dev *device);
const char *dm_remap_device_name(struct dm_dev *device);
struct block_device *dm_remap_device_bdev(struct dm_dev *device);
u64 dm_remap_bdev_sectors(struct block_device *bdev);
bool dm_remap_bdev_read_only(struct block_device *bdev);
bool dm_remap_bdev_takes_discards(struct block_device *bdev);
unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev);
unsigned int dm_remap_bdev_physical_block_size(struct block_device *bdev);
int dm_remap_bdev_rw(struct block_device *bdev, u64 sector, void *data, size_t length,
		     unsigned int op);
int dm_remap_bdev_flush(struct block_device *bdev);

/* bio.c */
unsigned int dm_remap_bio_number(struct bio *bio);
void dm_remap_bio_accept(struct bio *bio, struct dm_remap_beside *beside, unsigned int sectors);
int dm_remap_bio_transfer(struct bio *bio, struct dm_remap_beside *beside,
			  struct block_device *bdev, u64 sector, unsigned int skip,
			  unsigned int length, bool durable);
void dm_remap_bio_end(struct bio *bio, int error);
unsigned int dm_remap_op_traits(unsigned int op);
int dm_remap_status_errno(unsigned int status);

/* gate.c */
struct dm_remap_gate *dm_remap_gate_new(void);
void dm_remap_gate_free(struct dm_remap_gate *gate);
void dm_remap_gate_enter(struct dm_remap_gate *gate, struct bio *bio);
int dm_remap_gate_leave(struct bio *bio);
/* Opens the closed generation and closes the open one. One caller at a time. */
void dm_remap_gate_turn(struct dm_remap_gate *gate);
/* How many bios of the closed generation entered, and left, since it was made. */
unsigned long dm_remap_gate_closed_entered(struct dm_remap_gate *gate);
unsigned long dm_remap_gate_closed_left(struct dm_remap_gate *gate);
/* Sleeps for a moment between two looks at the counts. */
void dm_remap_gate_wait(void);

/* worker.c */
struct dm_remap_worker *dm_remap_worker_new(void);
void dm_remap_worker_free(struct dm_remap_worker *worker);
int dm_remap_worker_start(struct dm_remap_worker *worker, const char *name, void *target);
void dm_remap_worker_kick(struct dm_remap_worker *worker);
void dm_remap_worker_after(struct dm_remap_worker *worker, unsigned int milliseconds);
void dm_remap_worker_rest(struct dm_remap_worker *worker);
void dm_remap_worker_stop(struct dm_remap_worker *worker);

/* runtime.c */
unsigned int dm_remap_memalloc_noio_save(void);
void dm_remap_memalloc_noio_restore(unsigned int flags);
s64 dm_remap_uptime(void);
s64 dm_remap_now(void);
void dm_remap_random(void *bytes, size_t count);
void dm_remap_smp_mb(void);
void dm_remap_synchronize_rcu_expedited(void);
struct mutex *dm_remap_lock_new(unsigned int rank);
void dm_remap_lock_free(struct mutex *lock);
void dm_remap_lock(struct mutex *lock);
int dm_remap_lock_try(struct mutex *lock);
void dm_remap_unlock(struct mutex *lock);
void dm_remap_claims_lock(void);
void dm_remap_claims_unlock(void);

#ifndef DM_REMAP_KERNEL_CRATE
void *dm_remap_alloc(size_t bytes, unsigned int how);
void dm_remap_free(void *memory);
void dm_remap_rcu_read_lock(void);
void dm_remap_rcu_read_unlock(void);
void dm_remap_synchronize_rcu(void);
void dm_remap_log(int level, const char *text, unsigned int length);
#endif

#endif
