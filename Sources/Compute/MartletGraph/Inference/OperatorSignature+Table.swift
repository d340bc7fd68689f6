// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension OperatorSignature {
    /// Made by Scripts/make-operator-signatures.py from the schemas of onnx 1.23.2.
    static let table = """
        Abs a13cfe @consumed_inputs
        Acos a10c02
        Acosh a10c02
        Add a13cfe a13cfe @axis,broadcast,consumed_inputs
        AffineGrid a10c02 b80 @align_corners
        And a200 a200 @axis,broadcast
        ArgMax a13cfe @axis,keepdims,select_last_index
        ArgMin a13cfe @axis,keepdims,select_last_index
        Asin a10c02
        Asinh a10c02
        Atan a10c02
        Atanh a10c02
        Attention a10c02 a10c02 b10c02 c13efe a10c02 b10c02 d80 @is_causal,kv_num_heads,left_window_size,q_num_heads,qk_matmul_output_mode,right_window_size,scale,softcap,softmax_precision
        AveragePool a10c02 @auto_pad,ceil_mode,count_include_pad,dilations,kernel_shape,pads,strides
        BatchNormalization a10c02 b10c02 b10c02 c10c02 c10c02 @consumed_inputs,epsilon,is_test,momentum,spatial,training_mode
        Bernoulli a10c02 @dtype,seed
        BitCast a7fffefe @to
        BitShift a30fc a30fc @direction
        BitwiseAnd a30fc a30fc
        BitwiseNot a30fc
        BitwiseOr a30fc a30fc
        BitwiseXor a30fc a30fc
        BlackmanWindow ac0 @output_datatype,periodic
        Cast a1fff3ffe @round_mode,saturate,to
        CastLike a7ff3ffe b7ff3ffe @round_mode,saturate
        CausalConvWithState a10402 a10402 a10402 a10402 @activation
        Ceil a10c02 @consumed_inputs
        Celu a10c02 @alpha
        CenterCropPad a1fffe bc0 @axes
        Clip a13cfe a13cfe a13cfe @consumed_inputs,max,min
        Col2Im a1fffe b80 b80 @dilations,pads,strides
        Compress a1fffe b200 @axis
        Concat a1fffe+ @axis
        ConcatFromSequence afffe @axis,new_axis
        Constant @sparse_value,value,value_float,value_floats,value_int,value_ints,value_string,value_strings
        ConstantOfShape a80 @value
        Conv a10c02 a10c02 a10c02 @auto_pad,dilations,group,kernel_shape,pads,strides
        ConvInteger ac bc ac bc @auto_pad,dilations,group,kernel_shape,pads,strides
        ConvTranspose a10c02 a10c02 a10c02 @auto_pad,dilations,group,kernel_shape,output_padding,output_shape,pads,strides
        Cos a10c02
        Cosh a10c02
        CumProd a13cc2 bc0 @exclusive,reverse
        CumSum a13cc2 bc0 @exclusive,reverse
        DFT a10c02 bc0 c80 @axis,inverse,onesided
        DeformConv a10c02 a10c02 a10c02 a10c02 a10c02 @dilations,group,kernel_shape,offset_group,pads,strides
        DepthToSpace a1fffe @blocksize,mode
        DequantizeLinear a1efe007c b1010402 a1efe007c @axis,block_size,output_dtype
        Det a10c02
        Div a13cfe a13cfe @axis,broadcast,consumed_inputs
        Dropout a1f0c02 b1f0c02 c200 @consumed_inputs,is_test,ratio,seed
        DynamicQuantizeLinear a2
        Einsum a13cfe+ @equation
        Elu a10c02 @alpha,consumed_inputs
        Equal a13ffe a13ffe @axis,broadcast
        Erf a10c02
        Exp a10c02 @consumed_inputs
        Expand a1fffe b80
        EyeLike a13efe @dtype,k
        Flatten a7fffffe @axis
        Floor a10c02 @consumed_inputs
        GRU a10c02 a10c02 a10c02 a10c02 b40 a10c02 @activation_alpha,activation_beta,activations,clip,direction,hidden_size,layout,linear_before_reset,output_sequence
        Gather a1fffe bc0 @axis
        GatherElements a1fffe bc0 @axis
        GatherND a1fffe b80 @batch_dims
        Gelu a10c02 @approximate
        Gemm a13cc2 a13cc2 a13cc2 @alpha,beta,broadcast,transA,transB
        GlobalAveragePool a10c02
        GlobalLpPool a10c02 @p
        GlobalMaxPool a10c02
        Greater a13cfe a13cfe @axis,broadcast
        GreaterOrEqual a13cfe a13cfe
        GridSample a1fffe b10c02 @align_corners,mode,padding_mode
        GroupNormalization a10c02 a10c02 a10c02 @epsilon,num_groups,stash_type
        HammingWindow ac0 @output_datatype,periodic
        HannWindow ac0 @output_datatype,periodic
        HardSigmoid a10c02 @alpha,beta,consumed_inputs
        HardSwish a10c02
        Hardmax a10c02 @axis
        Identity a7fffffe
        If a200 @else_branch,then_branch
        ImageDecoder a4 @pixel_format
        InstanceNormalization a10c02 a10c02 a10c02 @consumed_inputs,epsilon
        IsInf a1f0c02 @detect_negative,detect_positive
        IsNaN a1f0c02
        LRN a10c02 @alpha,beta,bias,size
        LSTM a10c02 a10c02 a10c02 a10c02 b40 a10c02 a10c02 a10c02 @activation_alpha,activation_beta,activations,clip,direction,hidden_size,input_forget,layout,output_sequence
        LayerNormalization a10c02 a10c02 a10c02 @axis,epsilon,stash_type
        LeakyRelu a10c02 @alpha,consumed_inputs
        Less a13cfe a13cfe @axis,broadcast
        LessOrEqual a13cfe a13cfe
        LinearAttention a10402 a10402 a10402 b10402 a10402 a10402 @chunk_size,kv_num_heads,q_num_heads,scale,update_rule
        Log a10c02 @consumed_inputs
        LogSoftmax a10c02 @axis
        Loop a80 b200 c7fffffe~ @body
        LpNormalization a10c02 @axis,p
        LpPool a10c02 @auto_pad,ceil_mode,dilations,kernel_shape,p,pads,strides
        MatMul a13cc2 a13cc2
        MatMulInteger ac bc ac bc
        Max a13cfe+ @consumed_inputs
        MaxPool a10c0e @auto_pad,ceil_mode,dilations,kernel_shape,pads,storage_order,strides
        MaxRoiPool a10c02 a10c02 @pooled_shape,spatial_scale
        MaxUnpool a10c02 b80 b80 @kernel_shape,pads,strides
        Mean a10c02+ @consumed_inputs
        MeanVarianceNormalization a10c02 @axes
        MelWeightMatrix ac0 ac0 ac0 b10c02 b10c02 @output_datatype
        Min a13cfe+ @consumed_inputs
        Mish a10c02
        Mod a13cfe a13cfe @fmod
        Mul a13cfe a13cfe @axis,broadcast,consumed_inputs
        Multinomial a10c02 @dtype,sample_size,seed
        Neg a10cea @consumed_inputs
        NegativeLogLikelihoodLoss a10c02 bc0 a10c02 @ignore_index,reduction
        NonMaxSuppression a2 a2 b80 a2 a2 @center_point_box
        NonZero a1fffe
        Not a200
        OneHot a3cfe b3cfe c1fffe @axis
        Optional a1ffffffe @type
        OptionalGetElement a1ffffffe
        OptionalHasElement a1ffffffe
        Or a200 a200 @axis,broadcast
        PRelu a13cc2 a13cc2 @consumed_inputs
        Pad a7fffffe b80 a7fffffe cc0 @mode,paddings,pads,value
        Pow a10cc2 b13cfe @axis,broadcast
        QLinearConv ac b2 ac cc b2 cc b2 dc e40 @auto_pad,dilations,group,kernel_shape,pads,strides
        QLinearMatMul a1e000c b10402 a1e000c c1e000c b10402 c1e000c b10402 d1e000c
        QuantizeLinear a10442 b1010442 c1efe003c @axis,block_size,output_dtype,precision,saturate
        RMSNormalization a10c02 b10c02 @axis,epsilon,stash_type
        RNN a10c02 a10c02 a10c02 a10c02 b40 a10c02 @activation_alpha,activation_beta,activations,clip,direction,hidden_size,layout,output_sequence
        RandomNormal @dtype,mean,scale,seed,shape
        RandomNormalLike a1fffe @dtype,mean,scale,seed
        RandomUniform @dtype,high,low,seed,shape
        RandomUniformLike a1fffe @dtype,high,low,seed
        Range a10ce2 a10ce2 a10ce2 @stash_type
        Reciprocal a10c02 @consumed_inputs
        ReduceL1 a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        ReduceL2 a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        ReduceLogSum a10c02 b80 @axes,keepdims,noop_with_empty_axes
        ReduceLogSumExp a10c02 b80 @axes,keepdims,noop_with_empty_axes
        ReduceMax a13ece b80 @axes,keepdims,noop_with_empty_axes
        ReduceMean a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        ReduceMin a13ece b80 @axes,keepdims,noop_with_empty_axes
        ReduceProd a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        ReduceSum a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        ReduceSumSquare a13cc2 b80 @axes,keepdims,noop_with_empty_axes
        RegexFullMatch a100 @pattern
        Relu a10cea @consumed_inputs
        Reshape a7fffffe b80 @allowzero,consumed_inputs,shape
        Resize a1fffe bc02 c2 d80 @antialias,axes,coordinate_transformation_mode,cubic_coeff_a,exclude_outside,extrapolation_value,keep_aspect_ratio_policy,mode,nearest_mode
        ReverseSequence a1fffe b80 @batch_axis,time_axis
        RoiAlign a10c02 a10c02 b80 @coordinate_transformation_mode,mode,output_height,output_width,sampling_ratio,spatial_scale
        RotaryEmbedding a10402 a10402 a10402 b80 @interleaved,num_heads,rotary_embedding_dim
        Round a10c02
        STFT a10c02 bc0 a10c02 bc0 @onesided
        Scan a7fffffe~ @body,directions,num_scan_inputs,scan_input_axes,scan_input_directions,scan_output_axes,scan_output_directions
        Scatter afffe bc0 afffe @axis
        ScatterElements a1fffe bc0 a1fffe @axis,reduction
        ScatterND a1fffe b80 a1fffe @reduction
        Selu a10c02 @alpha,consumed_inputs,gamma
        SequenceAt afffe bc0
        SequenceConstruct afffe+
        SequenceEmpty @dtype
        SequenceErase afffe bc0
        SequenceInsert afffe bfffe cc0
        SequenceLength afffe
        SequenceMap afffe bfffe~ @body
        Shape a7fffffe @end,start
        Shrink a3cfe @bias,lambd
        Sigmoid a10c02 @consumed_inputs
        Sign a13cfe
        Sin a10c02
        Sinh a10c02
        Size a7fffffe
        Slice a1fffe bc0 bc0 bc0 bc0 @axes,ends,starts
        Softmax a10c02 @axis
        SoftmaxCrossEntropyLoss a10c02 bc0 a10c02 @ignore_index,reduction
        Softplus a10c02
        Softsign a10c02
        SpaceToDepth a1fffe @blocksize,mode
        Split a1fffe b80 @axis,num_outputs,split
        SplitToSequence a1fffe bc0 @axis,keepdims
        Sqrt a10c02 @consumed_inputs
        Squeeze a7fffffe b80 @axes
        StringConcat a100 a100
        StringNormalizer a100 @case_change_action,is_case_sensitive,locale,stopwords
        StringSplit a100 @delimiter,maxsplit
        Sub a13cfe a13cfe @axis,broadcast,consumed_inputs
        Sum a10c02+ @consumed_inputs
        SwiGLU a10c02 a10c02 @alpha
        Swish a10c02 @alpha
        Tan a10c02
        Tanh a10c02 @consumed_inputs
        TensorScatter a1fffffe a1fffffe b80 @axis,mode
        TfIdfVectorizer a1c0 @max_gram_length,max_skip_count,min_gram_length,mode,ngram_counts,ngram_indexes,pool_int64s,pool_strings,weights
        ThresholdedRelu a10c02 @alpha
        Tile a1fffe b80 #3
        TopK a13cfe b80 @axis,k,largest,sorted
        Transpose a7fffffe @perm
        Trilu a1fffe b80 @upper
        Unique a1fffe @axis,sorted
        Unsqueeze a7fffffe b80 @axes
        Upsample afffe b2 @height_scale,mode,scales,width_scale
        Where a200 b1fffe b1fffe
        Xor a200 a200 @axis,broadcast
        ai.onnx.ml.ArrayFeatureExtractor a9c2 b80
        ai.onnx.ml.Binarizer a8c2 @threshold
        ai.onnx.ml.CastMap a182 @cast_to,map_form,max_map
        ai.onnx.ml.CategoryMapper a180 @cats_int64s,cats_strings,default_int64,default_string
        ai.onnx.ml.DictVectorizer a982 @int64_vocabulary,string_vocabulary
        ai.onnx.ml.FeatureVectorizer a8c2+ @inputdimensions
        ai.onnx.ml.Imputer a8c2 @imputed_value_floats,imputed_value_int64s,replaced_value_float,replaced_value_int64
        ai.onnx.ml.LabelEncoder a9e2 @classes_strings,default_float,default_int64,default_string,default_tensor,keys_floats,keys_int64s,keys_strings,keys_tensor,values_floats,values_int64s,values_strings,values_tensor
        ai.onnx.ml.LinearClassifier a8c2 @classlabels_ints,classlabels_strings,coefficients,intercepts,multi_class,post_transform
        ai.onnx.ml.LinearRegressor a8c2 @coefficients,intercepts,post_transform,targets
        ai.onnx.ml.Normalizer a8c2 @norm
        ai.onnx.ml.OneHotEncoder a9c2 @cats_int64s,cats_strings,zeros
        ai.onnx.ml.SVMClassifier a8c2 @classlabels_ints,classlabels_strings,coefficients,kernel_params,kernel_type,post_transform,prob_a,prob_b,rho,support_vectors,vectors_per_class
        ai.onnx.ml.SVMRegressor a8c2 @coefficients,kernel_params,kernel_type,n_supports,one_class,post_transform,rho,support_vectors
        ai.onnx.ml.Scaler a8c2 @offset,scale
        ai.onnx.ml.TreeEnsemble ac02 @aggregate_function,leaf_targetids,leaf_weights,membership_values,n_targets,nodes_falseleafs,nodes_falsenodeids,nodes_featureids,nodes_hitrates,nodes_missing_value_tracks_true,nodes_modes,nodes_splits,nodes_trueleafs,nodes_truenodeids,post_transform,tree_roots
        ai.onnx.ml.TreeEnsembleClassifier a8c2 @base_values,base_values_as_tensor,class_ids,class_nodeids,class_treeids,class_weights,class_weights_as_tensor,classlabels_int64s,classlabels_strings,nodes_falsenodeids,nodes_featureids,nodes_hitrates,nodes_hitrates_as_tensor,nodes_missing_value_tracks_true,nodes_modes,nodes_nodeids,nodes_treeids,nodes_truenodeids,nodes_values,nodes_values_as_tensor,post_transform
        ai.onnx.ml.TreeEnsembleRegressor a8c2 @aggregate_function,base_values,base_values_as_tensor,n_targets,nodes_falsenodeids,nodes_featureids,nodes_hitrates,nodes_hitrates_as_tensor,nodes_missing_value_tracks_true,nodes_modes,nodes_nodeids,nodes_treeids,nodes_truenodeids,nodes_values,nodes_values_as_tensor,post_transform,target_ids,target_nodeids,target_treeids,target_weights,target_weights_as_tensor
        ai.onnx.ml.ZipMap a2 @classlabels_int64s,classlabels_strings
        ai.onnx.preview.FlexAttention a10c02 a10c02 a10c02 @prob_mod,scale,score_mod,softmax_precision
        com.microsoft.BiasGelu #2
        com.microsoft.DynamicQuantizeMatMul #5
        com.microsoft.FastGelu #2
        com.microsoft.FusedConv #4 @activation,activation_params,auto_pad,dilations,group,kernel_shape,pads,strides
        com.microsoft.Gelu #1
        com.microsoft.MatMulIntegerToFloat #7
        com.microsoft.MatMulNBits #6 @K,N,accuracy_level,bits,block_size,weight_prepacked
        com.microsoft.QGemm #9 @alpha,transA,transB
        com.microsoft.QLinearAdd #8
        com.microsoft.QLinearGlobalAveragePool #5 @channels_last
        com.microsoft.QLinearLeakyRelu #5 @alpha
        com.microsoft.QLinearMul #8
        com.microsoft.QLinearSigmoid #5
        com.microsoft.QuickGelu #1 @alpha
        com.microsoft.SkipLayerNormalization #5 @epsilon
        """
}
