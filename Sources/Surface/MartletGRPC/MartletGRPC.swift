// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.
