// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Compute kernels: one C call per operation, chosen for the machine at run time.
//
// Conventions, valid for every header of this module:
// - All tensors are row-major unless strides say otherwise; strides count elements, never bytes.
// - Sizes and strides are int64_t; a size of zero is legal and makes the call a no-op.
// - The plain name dispatches on the machine's level; the name ending in _reference is the plain C
//   oracle, single-threaded and slow.
// - Nothing allocates. A kernel that needs room takes scratch; its ..._scratch_bytes tells how
//   much for at most that many threads. Scratch and packed weights are aligned
//   to MARTLET_ALIGNMENT; tensors need only their element's alignment.
// - threads is the most threads a call may use, the caller included; 0 means the whole pool.
// - An output may be the same memory as an input only where the header says so; it then must be
//   exactly the same address with the same strides.
// - Functions that return int32_t give 0, or -1 when the type or operation is not supported or an
//   index is out of range; nothing was read or written outside the given bounds in either case.
#ifndef CMARTLET_KERNELS_H
#define CMARTLET_KERNELS_H

#include "MartletAdapters.h"
#include "MartletAttention.h"
#include "MartletConvolution.h"
#include "MartletConvolutionNarrow.h"
#include "MartletDecoder.h"
#include "MartletElementwise.h"
#include "MartletEmbedding.h"
#include "MartletGemm.h"
#include "MartletGemmBlocks.h"
#include "MartletGemmInteger.h"
#include "MartletGemmNarrow.h"
#include "MartletKernelTypes.h"
#include "MartletLayout.h"
#include "MartletNorm.h"
#include "MartletPeak.h"
#include "MartletPooling.h"
#include "MartletQuantize.h"
#include "MartletReduction.h"
#include "MartletResample.h"
#include "MartletRows.h"
#include "MartletSmallTypes.h"
#include "MartletThreads.h"
#include "MartletWeights.h"

#endif
