// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's static inlines that the Rust side calls. No policy is here. */
#include "shim.h"

static_assert((__force unsigned int)BLK_OPEN_WRITE == dm_remap_open_write);
static_assert((__force unsigned int)REQ_OP_WRITE == DM_REMAP_WRITE);
static_assert((__force unsigned int)(REQ_OP_WRITE | REQ_SYNC | REQ_FUA) == DM_REMAP_WRITE_DURABLY);

void dm_remap_bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
}

/* Makes a clone of what a bio carried, from @skip bytes on, that can be waited for. */
int dm_remap_bio_clone(struct bio *part, struct block_device *bdev, struct bio *bio,
		       const struct bvec_iter *whole, unsigned int skip, bool durable)
{
	int error = bio_init_clone(bdev, part, bio, GFP_NOIO);

	if (error)
		return error;
	part->bi_iter = *whole;
	bio_advance(part, skip);
	part->bi_opf &= ~(REQ_NOWAIT | REQ_RAHEAD);
	if (durable)
		part->bi_opf |= REQ_FUA;
	return 0;
}

bool dm_remap_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

unsigned int dm_remap_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void dm_remap_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

int dm_remap_gate_init(struct dm_remap_gate *gate)
{
/* Without memory barriers on the way in and out, where the kernel has it. */
#ifdef init_srcu_struct_fast_updown
	return init_srcu_struct_fast_updown(&gate->srcu);
#else
	return init_srcu_struct(&gate->srcu);
#endif
}

void dm_remap_gate_destroy(struct dm_remap_gate *gate)
{
	cleanup_srcu_struct(&gate->srcu);
}

unsigned long dm_remap_gate_enter(struct dm_remap_gate *gate)
{
#ifdef init_srcu_struct_fast_updown
	return (__force unsigned long)srcu_down_read_fast(&gate->srcu);
#else
	return srcu_down_read(&gate->srcu);
#endif
}

void dm_remap_gate_leave(struct dm_remap_gate *gate, unsigned long ticket)
{
#ifdef init_srcu_struct_fast_updown
	srcu_up_read_fast(&gate->srcu, (struct srcu_ctr __percpu *)ticket);
#else
	srcu_up_read(&gate->srcu, ticket);
#endif
}

void dm_remap_gate_drain(struct dm_remap_gate *gate)
{
	synchronize_srcu(&gate->srcu);
}

static void dm_remap_on_work(struct work_struct *work)
{
	struct dm_remap_worker *worker = container_of(work, struct dm_remap_worker, work);

	worker->on_work(worker->data);
}

static void dm_remap_on_timer(struct work_struct *work)
{
	struct dm_remap_worker *worker =
		container_of(to_delayed_work(work), struct dm_remap_worker, timer);

	worker->on_timer(worker->data);
}

int dm_remap_worker_start(struct dm_remap_worker *worker, const char *name,
			  void (*on_work)(void *data), void (*on_timer)(void *data),
			  void *data)
{
	INIT_WORK(&worker->work, dm_remap_on_work);
	INIT_DELAYED_WORK(&worker->timer, dm_remap_on_timer);
	worker->on_work = on_work;
	worker->on_timer = on_timer;
	worker->data = data;
	worker->queue = alloc_ordered_workqueue("%s", WQ_MEM_RECLAIM, name);
	return worker->queue ? 0 : -ENOMEM;
}

void dm_remap_worker_kick(struct dm_remap_worker *worker)
{
	queue_work(worker->queue, &worker->work);
}

void dm_remap_worker_after(struct dm_remap_worker *worker, unsigned int milliseconds)
{
	mod_delayed_work(worker->queue, &worker->timer, msecs_to_jiffies(milliseconds));
}

void dm_remap_worker_rest(struct dm_remap_worker *worker)
{
	cancel_delayed_work_sync(&worker->timer);
	flush_work(&worker->work);
}

void dm_remap_worker_stop(struct dm_remap_worker *worker)
{
	dm_remap_worker_rest(worker);
	destroy_workqueue(worker->queue);
}
